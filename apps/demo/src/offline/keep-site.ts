/** Keeps the site for visits without a network, once the page has what it needs itself. */
export function keepSite(): void {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const keep = (): void => {
    // Some browsers refuse where they store nothing, as in private windows; the site works all the same.
    navigator.serviceWorker.register(`${import.meta.env.BASE_URL}service-worker.js`).catch(() => {});
  };
  if (document.readyState === 'complete') keep();
  else addEventListener('load', keep, { once: true });
}
