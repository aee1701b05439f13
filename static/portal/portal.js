/* Credence portal: small helps on top of pages that work without any script. No inline code, no eval, nothing global. */
(function () {
  "use strict";

  const live = document.getElementById("live");
  const words = document.documentElement.dataset; // data-word-* on <html>, so that they are translated with the page

  /** Read `text` to people who cannot see the change. */
  function announce(text) {
    if (!live) return;
    live.textContent = "";
    window.setTimeout(() => { live.textContent = text; }, 50);
  }

  /** What a copy or download button is about: the element its attribute names by id. */
  function sourceText(id) {
    const source = document.getElementById(id);
    return source ? (source.value ?? source.textContent).trim() : "";
  }

  // Copy. Without script the value is a read-only field or user-select: all, and the button stays hidden.
  async function copy(button) {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(sourceText(button.dataset.copy));
    } catch {
      if (source.select) source.select();
      else window.getSelection().selectAllChildren(source);
      announce(words.wordCopyByHand);
      return;
    }
    announce(`${button.dataset.copyName || ""} ${words.wordCopied}`.trim());
    const word = button.querySelector("[data-copy-word]");
    const use = button.querySelector("use");
    const before = [word && word.textContent, use && use.getAttribute("href")];
    if (word) word.textContent = words.wordCopied;
    if (use) use.setAttribute("href", before[1].replace(/#.*/, "#check"));
    button.classList.add("copied");
    window.setTimeout(() => {
      if (word) word.textContent = before[0];
      if (use) use.setAttribute("href", before[1]);
      button.classList.remove("copied");
    }, 2000);
  }

  // Download what the page already shows (a secret as env file, recovery codes): no second request, nothing stored by us.
  function download(button) {
    const link = document.createElement("a");
    const prefix = button.dataset.downloadPrefix || "";
    link.href = URL.createObjectURL(new Blob([prefix + sourceText(button.dataset.downloadFrom) + "\n"], { type: "text/plain" }));
    link.download = button.dataset.download;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  /** Things to do for a new piece of page: at load, and for what htmx swaps in. */
  function prepare(root) {
    root.querySelectorAll("[data-copy], [data-download], [data-needs-script]").forEach((element) => { element.hidden = false; });
  }

  // Unsaved changes: a hint in the form, and the browser's own question when the page is left.
  let unsaved = null;
  function changed(form) {
    unsaved = form;
    const hint = form.querySelector("[data-unsaved-hint]");
    if (hint) hint.hidden = false;
  }
  window.addEventListener("beforeunload", (event) => {
    const kept = document.querySelector("[data-keep]"); // a value shown once, until its box is ticked
    if ((unsaved && unsaved.isConnected) || (kept && !kept.checked)) event.preventDefault();
  });

  // Waiting: after 300 ms say so. The button is never disabled; a second click on the same form is ignored instead.
  function waiting(form) {
    const button = form.querySelector("[data-busy]");
    const text = button ? button.dataset.busy : words.wordWorking;
    const before = button && button.textContent;
    const timer = window.setTimeout(() => {
      if (button) button.textContent = text;
      announce(text);
    }, 300);
    return () => {
      window.clearTimeout(timer);
      if (button && button.textContent === text) button.textContent = before;
    };
  }
  const running = new Map();
  function finish(form) {
    if (running.has(form)) running.get(form)();
    running.delete(form);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-download]");
    if (button && button.dataset.copy) copy(button);
    else if (button) download(button);
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = event.target.closest("details.menu[open]") || document.querySelector("details.menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (form && form.matches("[data-unsaved]")) changed(form);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (running.has(form)) {
      event.preventDefault();
      return;
    }
    if (form === unsaved) unsaved = null;
    if (form.method === "post" && !form.hasAttribute("hx-post")) running.set(form, waiting(form));
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) [...running.keys()].forEach(finish);
  });

  // htmx: say that we wait, move focus to the result's heading, put failures in words.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = event.target;
    if (form.matches("form")) running.set(form, waiting(form));
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    finish(event.target);
    if (!event.detail.successful && !event.detail.xhr.getResponseHeader("HX-Reswap")) announce(words.wordFailed);
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    // A refusal that says how it is swapped is an answer for the page: asked too often, not signed in.
    if (event.detail.xhr.getResponseHeader("HX-Reswap")) event.detail.shouldSwap = true;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    prepare(event.target);
    const heading = event.target.querySelector("[data-result]");
    if (heading) heading.focus();
  });

  // Passkeys: allauth's script reports a failed or cancelled ceremony with this event.
  document.addEventListener("allauth.error", (event) => {
    const box = document.querySelector("[data-passkey-error]");
    if (!box) return;
    event.preventDefault();
    box.hidden = false;
    box.focus();
  });

  prepare(document);
  // A row of tabs that is wider than a phone begins where the one at hand is seen; only the row moves, never the page.
  const tab = document.querySelector(".tabs [aria-current]");
  if (tab) {
    const row = tab.parentElement.getBoundingClientRect(), own = tab.getBoundingClientRect();
    tab.parentElement.scrollLeft += own.left + own.width / 2 - row.left - row.width / 2;
  }
  const onward = document.querySelector("form[data-submit-now]"); // the answer to an app by form_post; its button works without us
  if (onward) onward.requestSubmit();
  const summary = document.querySelector("[data-error-summary]");
  if (summary) summary.focus();
})();
