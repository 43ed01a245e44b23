import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import "./browser.js";

const root = new URL("../../imagehub/", import.meta.url);
const read = (path) => readFileSync(new URL(path, root), "utf8");

const SENTENCES = / data-words>([^]*?)<\/script>/g;
// Names that are put together from parts.
const COMPOSED = {
  admin: ["group_one", "group_folder", "group_each", "groups_selected", "shots_selected"],
  gallery: [],
};

for (const [part, folder] of [
  ["admin", "static/js/admin/"],
  ["gallery", "static/js/"],
]) {
  test(`the ${part} pages have every sentence that their scripts show, and no others`, () => {
    // The sentences of all pages are in _words.html; some pages have their own.
    const templates = readdirSync(new URL(`templates/${part}/`, root));
    const names = new Set(
      templates
        .filter((name) => name.endsWith(".html"))
        .flatMap((name) => [...read(`templates/${part}/${name}`).matchAll(SENTENCES)])
        .flatMap(([, sentences]) => [...sentences.matchAll(/(?:^|[{,])\s*"(\w+)":/gm)])
        .map(([, name]) => name),
    );
    const files = readdirSync(new URL(folder, root)).filter((name) => name.endsWith(".js"));
    const scripts = files.map((name) => read(folder + name)).join("\n");
    const used = new Set(COMPOSED[part]);
    // All of a call that may choose between names.
    for (const [call] of scripts.matchAll(/\bt\([^;]*?\)/g)) {
      for (const [, name] of call.matchAll(/"(\w+)"/g)) used.add(name);
    }
    const missing = [...used].filter((name) => !names.has(name));
    assert.deepEqual(missing, []);
    const dead = [...names].filter((name) => !new RegExp(`\\b${name}\\b`).test(scripts));
    assert.deepEqual(
      dead.filter((name) => !used.has(name)),
      [],
    );
  });
}

test("sentences are filled in, with numbers as people write them", async (context) => {
  document.querySelectorAll = () => [
    { textContent: '{"files": ["{count} file", "{count} files"], "of": "{name} of {all}"}' },
    { textContent: '{"close": "Close"}' },
  ];
  const { NumberFormat } = Intl;
  let made = 0;
  Intl.NumberFormat = class extends NumberFormat {
    constructor(...options) {
      super(...options);
      made += 1;
    }
  };
  context.after(() => {
    Intl.NumberFormat = NumberFormat;
  });
  const { t } = await import("../../imagehub/static/js/words.js");
  assert.equal(t("close"), "Close");
  assert.equal(made, 0, "pages must not wait for the format of numbers that they may never show");
  assert.equal(t("files", { count: 1 }), "1 file");
  assert.equal(t("files", { count: 12_000 }), "12,000 files");
  assert.equal(t("of", { name: "{all} $&", all: 2 }), "{all} $& of 2");
  assert.equal(t("of", { name: "x" }), "x of {all}");
  assert.equal(made, 1);
});
