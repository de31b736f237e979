export default {
  template: `
    <form class="form" :aria-label="label" @submit.prevent="send" @input="changed = true">
      <div v-for="f in fields" :key="f.name" class="field" :class="{ whole: f.whole }">
        <label :for="prefix + f.name">{{ f.label }}</label>
        <select v-if="f.options" :id="prefix + f.name" v-model="values[f.name]">
          <option v-for="o in f.options" :key="o.value" :value="o.value">{{ o.text }}</option>
        </select>
        <input v-else :id="prefix + f.name" v-model="values[f.name]" :type="f.type || 'text'" :min="f.min" :max="f.max"
               :step="f.step" :maxlength="f.maxlength" :required="f.required" autocomplete="off"
               :aria-describedby="f.hint ? prefix + f.name + '-hint' : null">
        <span v-if="f.hint" :id="prefix + f.name + '-hint'" class="field-hint">{{ f.hint }}</span>
      </div>
      <div class="row whole">
        <button class="primary" type="submit" :disabled="busy">{{ submit }}</button>
        <span role="status" class="said" :class="saidClasses">{{ said }}</span>
      </div>
    </form>
  `,
  props: {
    label: String,
    fields: Array,
    submit: String,
    busy: Boolean,
    said: String,
    saidClasses: String,
    prefix: String,
  },
  data() {
    return { values: this.begin(), changed: false };
  },
  watch: {
    fields() {
      this.values = this.begin();
    },
  },
  methods: {
    begin() {
      return Object.fromEntries(this.fields.map((f) => [f.name, f.value ?? ""]));
    },
    send() {
      const text = Object.entries(this.values).map(([name, value]) => [name, String(value ?? "")]);
      this.$emit("send", Object.fromEntries(text));
    },
  },
};
