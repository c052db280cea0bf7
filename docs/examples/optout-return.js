// On a page of `optout_return`: takes the no that a person gave on /privacy of another site.
// Call it before any SDK starts; where it returns true, start none with tracking on.
function letheOptout(gateway, ids) { // ids() -> what your SDKs know: {"device_id": "...", "user_id": "..."}
  const asked = location.hash === "#lethe-optout=1";
  if (asked) {
    localStorage.setItem("lethe-optout", "1");
    history.replaceState(null, "", location.pathname + location.search);
    fetch(gateway + "/v1/optout", {method: "POST", keepalive: true, body: JSON.stringify({ids: ids()}),
      headers: {"Content-Type": "application/json"}}).then(r => r.json())
      .then(a => a.receipt && localStorage.setItem("lethe-receipt", a.receipt));
    if (window.mixpanel && mixpanel.opt_out_tracking) mixpanel.opt_out_tracking();
  }
  return asked || localStorage.getItem("lethe-optout") === "1";
}
