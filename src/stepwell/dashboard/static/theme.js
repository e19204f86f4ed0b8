// Before anything is drawn: the theme that was chosen here, so that nothing flashes. Not a module, as those come late.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("stepwell.theme");
  } catch {
    // Storage may be switched off; then the system's theme is the one.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
