// The workflows, and what the driver asks of them over HTTP. What has ended is counted here, in the isolate.
import { WorkflowEntrypoint } from "cloudflare:workers";

let ended = 0;
let late = [];

const work = async () => 1;

const KINDS = {
  async steps(step, { count }) {
    for (let number = 0; number < count; number++) await step.do(`work ${number}`, work);
    return count;
  },
  async timed(step, { count }) {
    const ends = [];
    for (let number = 0; number < count; number++) {
      await step.do(`work ${number}`, work);
      ends.push(Date.now() / 1000);
    }
    return ends;
  },
  async parallel(step, { count }) {
    await Promise.all(Array.from({ length: count }, (_, number) => step.do(`work ${number}`, work)));
    return count;
  },
  async sleeper(step, { until }) {
    await step.sleepUntil("nap", until * 1000);
    late.push(Date.now() / 1000 - until);
  },
  async waiter(step) {
    await step.waitForEvent("wait", { type: "go", timeout: "10 minutes" });
    return await step.do("woken", async () => Date.now() / 1000);
  },
};

export class Bench extends WorkflowEntrypoint {
  async run(event, step) {
    const output = await KINDS[event.payload.kind](step, event.payload);
    ended++;
    return output;
  }
}

async function complete(instance, everyMs) {
  for (;;) {
    const found = await instance.status();
    if (found.status === "complete") return found;
    if (found.status === "errored") throw new Error(JSON.stringify(found.error));
    await scheduler.wait(everyMs);
  }
}

const ROUTES = {
  "/create": async ({ params }, env) => ({ id: (await env.BENCH.create({ params })).id }),
  "/run": async ({ params, everyMs }, env) => {
    const instance = await env.BENCH.create({ params });
    return { id: instance.id, ...(await complete(instance, everyMs)) };
  },
  "/wake": async ({ id }, env) => {
    const instance = await env.BENCH.get(id);
    await instance.sendEvent({ type: "go", payload: 1 });
    return await complete(instance, 2);
  },
  "/status": async ({ id }, env) => await (await env.BENCH.get(id)).status(),
  "/ended": async () => ({ ended, woken: late.length }),
  "/late": async () => late,
};

export default {
  async fetch(request, env) {
    try {
      const body = await request.text();
      return Response.json(await ROUTES[new URL(request.url).pathname](body ? JSON.parse(body) : {}, env));
    } catch (error) {
      return Response.json(String(error), { status: 500 });
    }
  },
};
