// Asks twice where one request a second is taken: with a try left, and with none. Prints how long that took, and the error.
import Cloudflare from "cloudflare";

const [account_id, baseURL] = process.argv.slice(2);
const client = new Cloudflare({ apiToken: "x", baseURL, maxRetries: 1 });
const began = performance.now();
for (let n = 0; n < 2; n += 1) await client.accounts.get({ account_id });
const took_ms = performance.now() - began;
try {
  await client.accounts.get({ account_id }, { maxRetries: 0 });
} catch (error) {
  const { constructor, status, errors, headers } = error;
  console.log(JSON.stringify({ took_ms, kind: constructor.name, status, codes: errors.map(({ code }) => code), policy: headers.get("ratelimit-policy") }));
}
