import assert from "node:assert/strict";
import { test } from "node:test";

import { serve } from "./browser.js";

const { fetchJson } = await import("../../imagehub/static/js/admin/http.js");

test("JSON is posted with the token of the page", async (context) => {
  const url = await serve(context, (json, { method, headers }) => ({
    body: { json, method, token: headers["x-csrftoken"], type: headers["content-type"] },
  }));
  assert.deepEqual(await fetchJson(url, { json: { a: 1 } }), {
    json: { a: 1 },
    method: "POST",
    token: "csrf-token",
    type: "application/json",
  });
});

test("a form is posted as a form", async (context) => {
  const url = await serve(context, (body) => ({ body: { body } }));
  assert.deepEqual(await fetchJson(url, { form: { a: "1 & 2" } }), { body: "a=1+%26+2" });
});

test("without a body it is read, without a token", async (context) => {
  const url = await serve(context, (_, { method, headers }) => ({
    body: [method, headers["x-csrftoken"] ?? null],
  }));
  assert.deepEqual(await fetchJson(url), ["GET", null]);
});

test("an answer without content is null", async (context) => {
  const url = await serve(context, () => ({ status: 204 }));
  assert.equal(await fetchJson(url, { method: "DELETE" }), null);
});

test("a refusal brings its sentence, detail and pause", async (context) => {
  const body = { detail: "Too long.", fields: { title: "Too long." } };
  const url = await serve(context, () => ({ status: 422, body, headers: { "Retry-After": "3" } }));
  await assert.rejects(fetchJson(url, { json: {} }), {
    status: 422,
    message: "Too long.",
    detail: body,
    retryAfter: 3000,
    isLost: false,
  });
});

test("several reasons become one sentence", async (context) => {
  const body = { detail: [{ msg: "One." }, { msg: "Two." }] };
  const url = await serve(context, () => ({ status: 422, body }));
  await assert.rejects(fetchJson(url, { json: {} }), { message: "One. Two." });
});

test("a server that is not there has the status 0", async () => {
  await assert.rejects(fetchJson("http://127.0.0.1:1/"), { status: 0 });
});

test("a page in place of JSON is an error", async (context) => {
  const url = await serve(context, () => ({ body: "<html>" }));
  await assert.rejects(fetchJson(url), { status: 200 });
});

test("an answer of the sign-in page means signed out", async (context) => {
  const url = await serve(context, (_, { url: path }) =>
    path === "/sign-in" ? { body: "<html>" } : { status: 302, headers: { Location: "/sign-in" } },
  );
  await assert.rejects(fetchJson(url), { status: 401 });
});

test("an old token is renewed once", async (context) => {
  const meta = Object.assign(new HTMLMetaElement(), { content: "old" });
  context.mock.method(document, "querySelector", () => meta);
  let isRenewed = false;
  const url = await serve(context, (form, { method, headers }) => {
    if (method === "GET") {
      isRenewed = true;
      return { body: '<meta name="csrf-token" content="fresh">' };
    }
    if (headers["x-csrftoken"] === "old") return { status: 400, body: { detail: "Old." } };
    return { body: { form } };
  });
  globalThis.location = new URL(url);
  const answer = await fetchJson(url, { form: { csrf_token: "old" } });
  assert.ok(isRenewed);
  assert.deepEqual(answer, { form: "csrf_token=fresh" });
});

test("an abort is thrown as it is", async (context) => {
  const url = await serve(context, () => ({ body: {} }));
  await assert.rejects(fetchJson(url, { signal: AbortSignal.abort() }), { name: "AbortError" });
});
