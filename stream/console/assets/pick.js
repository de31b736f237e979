export default {
  template: `
    <div class="pick" tabindex="-1" @keydown.esc="close(true)" @focusout="left">
      <button ref="button" type="button" class="secondary" :class="{ on: chosen.length }" :aria-expanded="String(open)"
              aria-haspopup="true" @click="open = !open">
        {{ label }}<span v-if="chosen.length" class="pick-count"> {{ chosen.length }}</span>
        <span aria-hidden="true"> ▾</span>
      </button>
      <fieldset v-if="open" class="pick-list">
        <legend class="unseen">{{ label }}</legend>
        <input v-if="options.length > 12" v-model="typed" type="search" :placeholder="find" :aria-label="find">
        <label v-for="o in shown" :key="o.value">
          <input type="checkbox" :checked="chosen.includes(o.value)" @change="toggle(o.value)"><span>{{ o.text }}</span>
        </label>
      </fieldset>
    </div>
  `,
  props: { label: String, find: String, options: Array, chosen: Array },
  data() {
    return { open: false, typed: "" };
  },
  computed: {
    shown() {
      const typed = this.typed.toLocaleLowerCase();
      return this.options.filter((o) => o.text.toLocaleLowerCase().includes(typed));
    },
  },
  methods: {
    toggle(value) {
      const has = this.chosen.includes(value);
      this.$emit("pick", has ? this.chosen.filter((one) => one !== value) : [...this.chosen, value]);
    },
    close(focus) {
      this.open = false;
      if (focus) this.$refs.button.focus();
    },
    left(event) {
      if (event.relatedTarget && !this.$el.contains(event.relatedTarget)) this.open = false;
    },
    outside(event) {
      if (!this.$el.contains(event.target)) this.open = false;
    },
  },
  mounted() {
    document.addEventListener("click", this.outside);
  },
  unmounted() {
    document.removeEventListener("click", this.outside);
  },
};
