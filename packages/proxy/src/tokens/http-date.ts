/** The text of a `Date` header, made anew once a second. */
export class HttpDate {
  #second = Number.NaN;
  #text = '';

  text(wallMillis: number): string {
    const second = Math.floor(wallMillis / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second * 1_000).toUTCString();
    }
    return this.#text;
  }
}
