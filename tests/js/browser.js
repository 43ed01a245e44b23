// Parts of a browser that Node.js lacks, and a server on the loopback address.

import { createServer } from "node:http";

globalThis.HTMLMetaElement = class {
  content = "csrf-token";
};
globalThis.HTMLInputElement = class {};
globalThis.document = {
  documentElement: { lang: "en", dataset: {} },
  addEventListener() {},
  querySelector: () => new HTMLMetaElement(),
  querySelectorAll: () => [],
};
globalThis.location = new URL("http://127.0.0.1/");
Object.defineProperty(navigator, "onLine", { value: true, writable: true });

/**
 * Start a server that ends with the test.
 * @param {import("node:test").TestContext} context
 * @param {(json: any, request: import("node:http").IncomingMessage) => any} answer returns
 *   `{ status, headers, body }`, each of which may be left out; `body` is sent as JSON.
 * @returns {Promise<string>} its address
 */
export async function serve(context, answer) {
  const server = createServer(async (request, response) => {
    const chunks = await Array.fromAsync(request);
    const text = Buffer.concat(chunks).toString();
    const json = text.startsWith("{") ? JSON.parse(text) : text;
    const { status = 200, headers = {}, body = null } = await answer(json, request);
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  });
  await new Promise((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}
