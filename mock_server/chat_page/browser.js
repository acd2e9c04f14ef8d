// What the page keeps in the browser's local storage: each conversation, its title apart (so that a list of them need
// not read them all), and the settings. Two tabs do not overwrite each other's conversations.
window.chatPage = (() => {
  const CHAT = "streamgauge.chat.", TITLE = "streamgauge.title.", SETTINGS = "streamgauge.settings";
  const CURRENT = "streamgauge.current"; // of this tab
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  const read = (key) => {
    try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
  };
  const write = (key, text) => {
    try { localStorage.setItem(key, text); return true; } catch { return false; }
  };
  const fresh = () => ({ id: Date.now().toString(36) + Math.random().toString(36).slice(2, 10), turns: [] });
  const list = () => Object.keys(localStorage)
    .filter((key) => key.startsWith(TITLE))
    .map((key) => ({ ...read(key), id: key.slice(TITLE.length) }))
    .sort((one, other) => (other.changed || 0) - (one.changed || 0))
    .map(({ id, title }) => ({ id, title }));
  const settings = () => read(SETTINGS) || {};
  const keep = (changed) => { write(SETTINGS, JSON.stringify({ ...settings(), ...changed })); look(); };
  const stay = (conversation) => { sessionStorage.setItem(CURRENT, conversation.id); return conversation; };

  const removed = new Set(); // an answer that was under way may still report its end

  const save = (conversation) => {
    const isKept = conversation && conversation.turns && conversation.turns.length && !removed.has(conversation.id);
    if (!isKept) return { chats: list(), full: false };
    const { id, title } = conversation, text = JSON.stringify(conversation);
    const isSaved = localStorage.getItem(CHAT + id) === text ||
      (write(CHAT + id, text) && write(TITLE + id, JSON.stringify({ title, changed: Date.now() })));
    return { chats: list(), full: !isSaved };
  };
  // before another conversation takes its place: its first change may not have been told yet
  const leave = (conversation) => {
    if (conversation && localStorage.getItem(CHAT + conversation.id) === null) save(conversation);
  };
  const remove = (conversation, language) => {
    const isSaved = localStorage.getItem(CHAT + conversation.id) !== null;
    if (isSaved && !window.confirm(chatQuestions[language])) return null;
    removed.add(conversation.id);
    localStorage.removeItem(CHAT + conversation.id);
    localStorage.removeItem(TITLE + conversation.id);
    return stay(fresh());
  };

  const look = () => {
    const choice = settings().appearance || "system";
    document.body.classList.toggle("dark", choice === "system" ? dark.matches : choice === "dark");
  };
  const watch = () => { // Gradio follows the system, and sets the class when it starts
    look();
    dark.addEventListener("change", look);
    new MutationObserver(look).observe(document.body, { attributeFilter: ["class"] });
  };
  if (document.body) watch(); else document.addEventListener("DOMContentLoaded", watch);

  return {
    save, remove, keep,
    create: (left) => { leave(left); return stay(fresh()); },
    open: (id, left) => {
      leave(left);
      const found = read(CHAT + id);
      return found && stay(found);
    },
    index: () => ({ chats: list(), full: false }),
    boot: () => ({
      language: settings().language || navigator.language,
      settings: settings(),
      isWide: window.innerWidth >= 900,
      conversation: read(CHAT + sessionStorage.getItem(CURRENT)) || stay(fresh()),
      index: { chats: list(), full: false },
    }),
  };
})();
