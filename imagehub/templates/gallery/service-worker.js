{# Contains the addresses of this version, so that browsers notice a new one. #}
self.version = {{ {
  "caches": "imagehub " ~ url_for("gallery.show_front") ~ "assets/",
  "assets": assets_url,
  "offline": offline_url,
  "files": [
    asset_url("css/type-" ~ look.typefaces ~ ".css"),
    asset_url("css/site.css"),
    asset_url("css/gallery.css"),
    asset_url("js/site.js"),
    asset_url("js/pictures.js"),
    asset_url("js/renditions.js"),
    asset_url("js/transitions.js"),
    asset_url("vendor/" ~ look.typefaces ~ "-latin.woff2"),
  ],
}|tojson }};
importScripts({{ asset_url("js/service-worker.js")|tojson }});
