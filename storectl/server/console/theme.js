/* Before the first paint: the theme that was chosen, else that of the system. */
{
  const chosen = localStorage.getItem("storectl.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
