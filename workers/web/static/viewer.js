"use strict";

AsyncApiStandalone.render(
  {
    schema: { url: new URL("asyncapi.json", document.baseURI).href },
    config: {
      show: { sidebar: true, errors: true },
      sidebar: { showOperations: "bySpecTags", useChannelAddressAsIdentifier: true },
    },
  },
  document.getElementById("viewer"),
);
