// The sum that a sign-up costs: a number whose SHA-256, with the form's stamp and the address, begins with 18 zero bits.
// Written out, because crypto.subtle is missing on pages without TLS.
"use strict";
const K = [], H = [];
for (let n = 2; K.length < 64; n++) {
  if ([...Array(n).keys()].some((d) => d > 1 && d * d <= n && n % d === 0)) continue;
  if (H.length < 8) H.push((n ** 0.5 % 1) * 2 ** 32 | 0);
  K.push((n ** (1 / 3) % 1) * 2 ** 32 | 0);
}
function firstWord(bytes) {
  const size = ((bytes.length + 9 + 63) >> 6) << 4, m = new Int32Array(size), w = new Int32Array(64), h = H.slice();
  bytes.forEach((byte, i) => { m[i >> 2] |= byte << (24 - 8 * (i & 3)); });
  m[bytes.length >> 2] |= 0x80 << (24 - 8 * (bytes.length & 3));
  m[size - 1] = bytes.length * 8;
  const turn = (x, n) => (x >>> n) | (x << (32 - n));
  for (let at = 0; at < size; at += 16) {
    let [a, b, c, d, e, f, g, k] = h;
    for (let i = 0; i < 64; i++) {
      const x = w[i - 15], y = w[i - 2];
      w[i] = i < 16 ? m[at + i]
        : w[i - 16] + w[i - 7] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
      const s = k + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i] | 0;
      const t = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [k, g, f, e, d, c, b, a] = [g, f, e, d + s | 0, c, b, a, s + t | 0];
    }
    [a, b, c, d, e, f, g, k].forEach((word, i) => { h[i] = h[i] + word | 0; });
  }
  return h[0] >>> 0;
}
for (const form of document.querySelectorAll("form[data-proof]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const says = form.querySelector("[data-busy]"), encoder = new TextEncoder();
    const start = `${form.elements.stamp.value}:${form.elements.email.value.trim()}:`;
    says.textContent = says.dataset.busy;
    form.querySelector("button").disabled = true;
    (function work(from) {
      for (let n = from; n < from + 5000; n++) {
        if (firstWord(encoder.encode(start + n)) >>> 14 === 0) {
          form.elements.proof.value = n;
          return form.submit();
        }
      }
      setTimeout(work, 0, from + 5000);
    })(0);
  });
}
