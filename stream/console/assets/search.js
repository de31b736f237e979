export default {
  template: `
    <label class="search">
      <span class="unseen">{{ label }}</span>
      <input v-model="text" type="search" :placeholder="label" maxlength="100" autocomplete="off" @input="typed">
    </label>
  `,
  props: { label: String, begin: String, wait: Number },
  data() {
    // What is typed is kept here: whatever else of the page is drawn again leaves it alone.
    return { text: this.begin, timer: null };
  },
  methods: {
    typed() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.$emit("search", this.text), this.wait);
    },
  },
  unmounted() {
    clearTimeout(this.timer);
  },
};
