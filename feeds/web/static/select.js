// The feed builder without loading pages: terms are searched as they are typed, steps change the page in place.
import { copyable } from "./page.js";

const page = () => document.querySelector("main");

async function go(address, push) {
  page().setAttribute("aria-busy", "true");
  try {
    const answered = await fetch(address, { headers: { Accept: "text/html" } });
    const made = new DOMParser().parseFromString(await answered.text(), "text/html");
    const part = made.querySelector("main");
    if (!part || new URL(answered.url).pathname !== "/select") throw new Error("not the builder");
    page().replaceWith(document.adoptNode(part));
    copyable(part);
    document.title = made.title;
    if (push) history.pushState(null, "", answered.url);
    ready();
    if (push) document.getElementById("term").focus();
  } catch {
    location.assign(address);
  }
}

let typing = 0;
async function offer() {
  const form = document.querySelector("form.step"), text = form.term.value, turn = ++typing;
  await new Promise((done) => setTimeout(done, 120));
  if (turn !== typing) return;
  const asked = new URLSearchParams({ facet: form.facet.value, q: text });
  const found = await fetch(`${form.dataset.terms}?${asked}`).then((answered) => answered.json()).catch(() => []);
  if (turn !== typing) return;
  document.getElementById("known").replaceChildren(...found.map((term) => {
    const option = document.createElement("option");
    option.value = term.name;
    option.label = `${term.name} (${term.articles})`;
    return option;
  }));
}

function ready() {
  const form = document.querySelector("form.step");
  form.term.addEventListener("input", offer);
  form.facet.addEventListener("change", offer);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(`/select?${new URLSearchParams(new FormData(form))}`, true);
  });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/select']");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || !link.closest("main")) return;
  event.preventDefault();
  go(link.href, true);
});
addEventListener("popstate", () => go(location.href, false));
ready();
