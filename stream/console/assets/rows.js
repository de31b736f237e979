export default {
  template: `
    <div class="rows" tabindex="0" role="region" :aria-label="caption">
      <table>
        <caption class="unseen">{{ caption }}</caption>
        <thead>
          <tr>
            <th v-for="c in columns" :key="c.name" scope="col" :class="['cell-' + c.kind, { wide: c.wide }]"
                :aria-sort="c.sort ? (sorted[0] === c.sort ? sorted[1] : 'none') : null">
              <button v-if="c.sort" type="button" @click="$emit('sort', c.sort)">
                {{ c.label }}<span aria-hidden="true" class="order">{{ arrow(c) }}</span>
              </button>
              <template v-else>{{ c.label }}</template>
            </th>
          </tr>
        </thead>
        <tbody>
          <tr v-for="r in rows" :key="r.key">
            <td v-for="c in columns" :key="c.name" :class="['cell-' + c.kind, { wide: c.wide }]">
              <span v-if="c.kind === 'badge'" class="badge" :class="r[c.name].style">
                <span class="badge-icon" aria-hidden="true">{{ r[c.name].icon }}</span><span>{{ r[c.name].text }}</span>
              </span>
              <template v-else-if="c.kind === 'account'">
                <a :href="r[c.name].href">{{ r[c.name].text }}</a>
                <small v-if="r[c.name].detail">{{ r[c.name].detail }}</small>
              </template>
              <template v-else-if="c.kind === 'day'">
                {{ r[c.name].text }}<small v-if="r[c.name].detail">{{ r[c.name].detail }}</small>
              </template>
              <template v-else>{{ r[c.name] }}</template>
            </td>
          </tr>
          <tr v-if="!rows.length"><td :colspan="columns.length" class="empty">{{ empty }}</td></tr>
        </tbody>
      </table>
    </div>
  `,
  props: { columns: Array, rows: Array, caption: String, empty: String, sorted: Array },
  methods: {
    arrow(column) {
      if (this.sorted[0] !== column.sort) return "";
      return this.sorted[1] === "ascending" ? " ↑" : " ↓";
    },
  },
};
