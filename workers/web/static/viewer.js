"use strict";

const viewer = document.getElementById("viewer");

AsyncApiStandalone.render(
  {
    schema: { url: new URL("asyncapi.json", document.baseURI).href },
    config: {
      show: { sidebar: true, errors: true },
      expand: { messageExamples: true },
      sidebar: { useChannelAddressAsIdentifier: true },
    },
  },
  viewer,
);

// What the component leaves out for people who use a keyboard or a screen reader.
function complete() {
  const menu = viewer.querySelector(".burger-menu:not([role])");
  if (menu) {
    menu.setAttribute("role", "button");
    menu.setAttribute("tabindex", "0");
    menu.setAttribute("aria-label", "Menu");
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      menu.click();
    });
  }
  for (const heading of viewer.querySelectorAll("h5:not([aria-level])")) {
    heading.setAttribute("aria-level", heading.closest("#servers") ? "3" : "4");
  }
  for (const tab of viewer.querySelectorAll("[role=tab]")) {
    tab.parentElement.setAttribute("role", "tablist");
    if (!document.getElementById(tab.getAttribute("aria-controls"))) tab.removeAttribute("aria-controls");
  }
}

new MutationObserver(complete).observe(viewer, { childList: true, subtree: true });
