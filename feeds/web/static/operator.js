// Terms are searched as they are typed, where a feed is set up.
"use strict";
const form = document.querySelector("form.step[data-terms]"), known = document.getElementById("known");
let typing = 0;

async function offer() {
  const turn = ++typing, asked = new URLSearchParams({ facet: form.facet.value, q: form.term.value });
  await new Promise((done) => setTimeout(done, 120));
  if (turn !== typing) return;
  const found = await fetch(`${form.dataset.terms}?${asked}`).then((answered) => answered.json()).catch(() => []);
  if (turn !== typing) return;
  known.replaceChildren(...found.map((term) => new Option(`${term.name} (${term.articles})`, term.name)));
}

if (form) {
  form.term.addEventListener("input", offer);
  form.facet.addEventListener("change", offer);
}
