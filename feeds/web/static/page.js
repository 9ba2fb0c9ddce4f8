// What every page can do besides: copy an address with one press, find a name while it is typed, move what is too wide.
const words = document.body.dataset;

/** A button behind each address that can be copied, where the browser lets scripts copy. */
export function copyable(root) {
  if (!navigator.clipboard) return;
  for (const code of root.querySelectorAll(".addresses code, .notice code, .yaml code")) {
    const button = document.createElement("button"), said = document.createElement("span");
    button.type = "button";
    button.className = "copy";
    button.textContent = words.copy;
    said.className = "unseen";
    said.setAttribute("role", "status");
    const name = code.closest("div")?.querySelector("dt")?.textContent.trim();
    if (name) button.setAttribute("aria-label", `${words.copy} ${name}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = said.textContent = words.copied;
      setTimeout(() => { button.textContent = words.copy; said.textContent = ""; }, 2000);
    });
    code.after(" ", button, said);
  }
}

/** Names are looked up by the service while they are typed; the page around them stays. */
function siftByService(form) {
  let turn = 0;
  const sift = async () => {
    const own = ++turn;
    await new Promise((done) => setTimeout(done, 120));
    if (own !== turn) return;
    const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value.trim()));
    const address = form.getAttribute("action") + (asked.size ? `?${asked}` : "");
    try {
      const answered = await fetch(address, { headers: { Accept: "text/html" } });
      const made = new DOMParser().parseFromString(await answered.text(), "text/html");
      const part = made.getElementById("found");
      if (own !== turn || !answered.ok || !part) return;
      document.getElementById("found").replaceWith(document.adoptNode(part));
      document.title = made.title;
      history.replaceState(null, "", address);
    } catch { /* the form can still be sent */ }
  };
  form.q.addEventListener("input", sift);
}

/** Where no service stands behind the page, it has all names itself. */
function siftHere(found) {
  const rows = [...found.querySelectorAll(".directory li")], box = document.createElement("p"), input = document.createElement("input");
  input.type = "search";
  input.placeholder = found.dataset.sift;
  input.setAttribute("aria-label", found.dataset.sift);
  box.className = "inline";
  box.append(input);
  found.before(box);
  input.addEventListener("input", () => {
    const text = input.value.normalize("NFC").trim().toLowerCase();
    for (const row of rows) row.hidden = !row.firstElementChild.textContent.toLowerCase().includes(text);
  });
}

/** What can be moved sideways can be reached by the keyboard: not every browser does so by itself. */
function reachable() {
  for (const wide of document.querySelectorAll("pre, table, .scroll")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
    else wide.removeAttribute("tabindex");
  }
}

copyable(document);
reachable();
addEventListener("resize", reachable);
const form = document.querySelector("form.sift"), whole = document.querySelector("#found[data-sift]");
if (form) siftByService(form);
if (whole) siftHere(whole);
