// What a user's program does with Cloudflare's client for TypeScript. It prints every answer, by the method that gave it.

import Cloudflare from "cloudflare";
import type { InstanceGetResponse } from "cloudflare/resources/workflows/instances";

const [account_id = "", baseURL = "", apiToken = ""] = process.argv.slice(2);
const workflow_name = "order";
const client = new Cloudflare({ apiToken, baseURL, maxRetries: 0 });
const { workflows } = client;
const { instances, versions } = workflows;

async function collect<Item>(pages: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of pages) all.push(item);
  return all;
}

async function reach(id: string, status: InstanceGetResponse["status"]): Promise<InstanceGetResponse> {
  for (;;) {
    const found = await instances.get(id, { account_id, workflow_name });
    if (found.status === status) return found;
    if (found.end !== null) throw new Error(`${id} is ${found.status}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function refusal(call: PromiseLike<unknown>): Promise<object> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof Cloudflare.APIError)) throw error;
    return { kind: error.constructor.name, status: error.status, codes: error.errors.map(({ code }) => code) };
  }
  throw new Error("was not refused");
}

const answers: Record<string, unknown> = {};

// who calls
answers["user.tokens.verify"] = await client.user.tokens.verify();
answers["user.get"] = await client.user.get();
answers["accounts.list"] = await collect(client.accounts.list());
answers["accounts.get"] = await client.accounts.get({ account_id });

// one instance, from its creation to its end
answers["instances.create"] = await instances.create(workflow_name, {
  account_id,
  instance_id: "order-1",
  params: JSON.stringify({ cents: 600 }),
});
answers["instances.get, waiting"] = await reach("order-1", "waiting");
answers["instances.events.create"] = await instances.events.create("approved", {
  account_id,
  workflow_name,
  instance_id: "order-1",
  body: { by: "ann" },
});
answers["instances.get, complete"] = await reach("order-1", "complete");
answers["instances.get, simple"] = await instances.get("order-1", { account_id, workflow_name, simple: "true" });
answers["instances.get, desc"] = await instances.get("order-1", { account_id, workflow_name, order: "desc" });
answers["instances.step, step"] = await instances.step("order-1", {
  account_id,
  workflow_name,
  name: "charge-1",
  type: "step",
  attempt: 2,
});
answers["instances.step, wait"] = await instances.step("order-1", {
  account_id,
  workflow_name,
  name: "approval-1",
  type: "waitForEvent",
});

// many instances
answers["instances.bulk"] = await collect(
  instances.bulk(workflow_name, {
    account_id,
    body: ["a", "b", "order-1", "c"].map((instance_id) => ({ instance_id, params: '{"cents": 0}' })),
  }),
);
answers["instances.get, errored"] = await reach("b", "errored");
await Promise.all(["a", "c"].map((id) => reach(id, "errored")));
answers["instances.list, pages"] = await collect(instances.list(workflow_name, { account_id, per_page: 3 }));
answers["instances.list, filtered"] = await collect(
  instances.list(workflow_name, {
    account_id,
    status: "complete",
    direction: "asc",
    date_start: new Date(Date.now() - 3_600_000).toISOString(),
    date_end: new Date().toISOString(),
  }),
);

// one instance, controlled
const control = { account_id, workflow_name };
await instances.create(workflow_name, { account_id, instance_id: "held", params: '{"cents": 5}' });
await reach("held", "waiting");
answers["instances.status.edit, pause"] = await instances.status.edit("held", { ...control, status: "pause" });
answers["instances.get, paused"] = await instances.get("held", control);
answers["instances.status.edit, resume"] = await instances.status.edit("held", { ...control, status: "resume" });
await reach("held", "waiting");
answers["instances.status.edit, restart"] = await instances.status.edit("held", {
  ...control,
  status: "restart",
  from: { name: "rest", count: 1, type: "sleep" },
});
await reach("held", "waiting");
answers["instances.status.edit, terminate"] = await instances.status.edit("held", {
  ...control,
  status: "terminate",
  rollback: true,
});
answers["instances.get, terminated"] = await instances.get("held", control);

// workflows and versions
answers["workflows.update"] = await workflows.update(workflow_name, {
  account_id,
  script_name: "flows",
  class_name: "Order",
  limits: { steps: 50 },
});
answers["workflows.get"] = await workflows.get(workflow_name, { account_id });
answers["workflows.list"] = await collect(workflows.list({ account_id, per_page: 1 }));
answers["workflows.list, searched"] = await collect(workflows.list({ account_id, search: "rde" }));
const listed = await collect(versions.list(workflow_name, { account_id, per_page: 1 }));
answers["versions.list"] = listed;
const newest = listed[0]?.id ?? "";
answers["versions.get"] = await versions.get(newest, { account_id, workflow_name });
answers["versions.graph"] = await versions.graph(newest, { account_id, workflow_name });

// what is refused
answers["refused"] = {
  "unknown workflow": await refusal(workflows.get("none", { account_id })),
  "unknown instance": await refusal(instances.get("none", { account_id, workflow_name })),
  "unknown version": await refusal(versions.get(crypto.randomUUID(), { account_id, workflow_name })),
  "id is taken": await refusal(instances.create(workflow_name, { account_id, instance_id: "order-1" })),
  "event after the end": await refusal(
    instances.events.create("approved", { account_id, workflow_name, instance_id: "order-1", body: {} }),
  ),
  "terminate after the end": await refusal(instances.status.edit("held", { ...control, status: "terminate" })),
  "unknown class": await refusal(
    workflows.update(workflow_name, { account_id, script_name: "flows", class_name: "None" }),
  ),
  "wrong token": await refusal(
    new Cloudflare({ apiToken: "wrong", baseURL, maxRetries: 0 }).workflows.list({ account_id }),
  ),
  "another account": await refusal(client.workflows.list({ account_id: "f".repeat(32) })),
};

answers["workflows.delete"] = await workflows.delete("spare", { account_id });

console.log(JSON.stringify(answers));
