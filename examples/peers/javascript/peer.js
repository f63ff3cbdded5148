// Speaks the protocol of `thoonk conform` on stdin and stdout, a line of JSON each.

import { createInterface } from "node:readline";
import { Refused, Thoonk } from "./thoonk.js";

// Bytes in JSON: text where they are UTF-8, else {"base64": …}.
const decode = (value) =>
  Buffer.from(value.base64 ?? value, value.base64 === undefined ? "utf8" : "base64");
function encode(data) {
  const text = data.toString();
  return Buffer.from(text).equals(Buffer.from(data)) ? text : { base64: data.toString("base64") };
}
const encodeAll = (list) =>
  list.map((part) =>
    Array.isArray(part) ? encodeAll(part) : typeof part === "number" ? part : encode(part),
  );
const decodeAll = (list) =>
  list.map((part) => (Array.isArray(part) ? decodeAll(part) : decode(part)));
const encodeFields = (fields) =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      Buffer.isBuffer(value) ? encode(value) : value,
    ]),
  );
const maybe = (change, value) => (value === null || value === undefined ? value : change(value));

let thoonk;
let stopListening = null;
let heard = [];

// Each gets the arguments (a), those of them that are bytes decoded, and session and call (once).
const operations = {
  async hello({ url }) {
    thoonk = await Thoonk.connect(url);
    return { name: "example in JavaScript", level: 2, without: [] };
  },
  create: async (a, once) => ({ created: await thoonk.create(a.feed, a.config, once) }),
  delete: (a) => thoonk.delete(a.feed),
  "set config": (a, once) => thoonk.setConfig(a.feed, a.config, once),
  get_config: async (a) => ({
    config: Object.fromEntries(
      (await thoonk.getConfig(a.feed)).map(([name, value]) => [name.toString(), encode(value)]),
    ),
  }),
  pause: async (a, once) => ({ paused: await thoonk.pause(a.feed, once) }),
  resume: async (a, once) => ({ resumed: await thoonk.resume(a.feed, once) }),
  get_names: async () => ({ names: encodeAll(await thoonk.getNames()) }),
  get_ids: async (a) => ({ ids: encodeAll(await thoonk.getIds(a.feed, a.type)) }),
  get_item: async (a) => ({ item: maybe(encode, await thoonk.getItem(a.feed, a.id)) }),
  get_all: async (a) => ({ items: encodeAll(await thoonk.getAll(a.feed)) }),
  stats: (a) => thoonk.stats(a.feed),
  async page(a) {
    const { ids, cursor } = await thoonk.page(a.feed, a.type, a.count, a.reverse, a.cursor ?? "");
    return { ids: encodeAll(ids), cursor: encode(cursor) };
  },
  async "snapshot page"(a) {
    const { mark, total, ids, items } = await thoonk.snapshotPage(a.feed, a.type, a);
    return { mark: encode(mark), total, ids: encodeAll(ids), items: encodeAll(items) };
  },
  "feed publish": async (a, once) => ({ new: await thoonk.publish(a.feed, a.entries, once) }),
  "feed retract": async (a, once) => ({ removed: await thoonk.retract(a.feed, a.id, once) }),
  "sorted append": async (a, once) => ({
    ids: encodeAll(await thoonk.insert(a.feed, a.items, "end", undefined, once)),
  }),
  "sorted prepend": async (a, once) => ({
    ids: encodeAll(await thoonk.insert(a.feed, a.items, "begin", undefined, once)),
  }),
  "sorted before": async (a, once) => ({
    ids: encodeAll(await thoonk.insert(a.feed, a.items, "before", a.neighbour, once)),
  }),
  "sorted after": async (a, once) => ({
    ids: encodeAll(await thoonk.insert(a.feed, a.items, "after", a.neighbour, once)),
  }),
  "sorted edit": (a, once) => thoonk.edit(a.feed, a.id, a.item, once),
  "sorted move": (a, once) => thoonk.move(a.feed, a.id, a.position, once),
  "sorted retract": async (a, once) => ({
    removed: await thoonk.sortedRetract(a.feed, a.id, once),
  }),
  "queue put": async (a, once) => ({ id: encode(await thoonk.put("queue", a, once)) }),
  "queue add": async (a, once) => ({
    outcomes: await thoonk.add("queue", a.feed, a.entries, a, once),
  }),
  "queue clear": (a, once) => thoonk.some("queue clear", a.feed, [a.count], once),
  "queue get": async (a) => ({ item: maybe(encode, await thoonk.queueGet(a.feed, a.timeout)) }),
  "queue take": (a) => taken("queue", a),
  "queue confirm": (a, once) => thoonk.confirm(a.feed, a.token, a.ids, once),
  "queue return": (a, once) => thoonk.return(a.feed, a.token, a.entries, once),
  release: (a) => thoonk.release(a.feed, a.token, a.ids),
  "job put": async (a, once) => ({ id: encode(await thoonk.put("job", a, once)) }),
  "job add": async (a, once) => ({
    outcomes: await thoonk.add("job", a.feed, a.entries, a, once),
  }),
  "job fail": async (a, once) => ({ outcome: await thoonk.fail(a.feed, a.id, a, once) }),
  "job reschedule": async (a, once) => ({
    scheduled: await thoonk.reschedule(a.feed, a.id, a, once),
  }),
  async "job info"(a) {
    const info = await thoonk.info(a.feed, a.id);
    return info ? { found: true, ...encodeFields(info) } : { found: false };
  },
  async "job page"(a) {
    const { jobs, cursor } = await thoonk.jobPage(a.feed, a.state, a.count, a.cursor ?? "");
    return { jobs: jobs.map(encodeFields), cursor: encode(cursor) };
  },
  "job retry all": (a, once) => thoonk.some("job retry all", a.feed, [a.count], once),
  "job clear": (a, once) => thoonk.some("job clear", a.feed, [a.state, a.count], once),
  "job get": (a) => taken("job", a),
  "job extend": async (a, once) => ({ extended: await thoonk.extend(a.feed, a.jobs, once) }),
  async "job next"(a) {
    const { token, entries, lost } = await thoonk.next(a.feed, a);
    return {
      token: encode(Buffer.from(token)),
      entries: encodeAll(entries),
      lost: encodeAll(lost),
    };
  },
  "job holds": async (a) => ({ holds: await thoonk.holds(a.feed, a.jobs) }),
  "job progress": (a, once) => thoonk.progress(a.feed, a.id, a, once),
  "job schedule": async (a, once) => ({ new: await thoonk.schedule(a.feed, a, once) }),
  "job set runs": async (a, once) => ({ told: await thoonk.setRuns(a.feed, a, once) }),
  "job unschedule": async (a, once) => ({
    removed: await thoonk.unschedule(a.feed, a.name, once),
  }),
  schedules: async (a) => ({
    schedules: (await thoonk.schedules(a.feed, a.names)).map(encodeFields),
  }),
  async times(a) {
    const { times, cursor } = await thoonk.times(a.feed, a);
    return { times: times.map(([id, ...rest]) => [encode(id), ...rest]), cursor: encode(cursor) };
  },
  restore: async (a, once) => ({
    outcomes: await thoonk.restore(a.feed, a.type, a.elements ?? [], a.schedules ?? [], once),
  }),
  "job cancel": (a, once) => thoonk.end("cancel", a.feed, a.id, a.token, once),
  "job stall": (a, once) => thoonk.end("stall", a.feed, a.id, a.token, once),
  "job finish": (a, once) => thoonk.finish(a.feed, a.jobs, once),
  "job retry": (a, once) => thoonk.retry(a.feed, a.id, once),
  "job retract": async (a, once) => ({ removed: await thoonk.retractJob(a.feed, a.id, once) }),
  "job counts": (a) => thoonk.counts(a.feed),
  "job maintenance": (a) => thoonk.maintain(a.feed),
  "worker report": (a) => thoonk.reportWorker(a),
  "worker remove": async (a) => ({ removed: await thoonk.removeWorker(a.id) }),
  "worker list": async () => ({
    workers: (await thoonk.workers()).map((worker) => ({
      ...encodeFields(worker),
      feeds: encodeAll(worker.feeds),
      jobs: worker.jobs.map(encodeFields),
    })),
  }),
  async get_result(a) {
    const found = await thoonk.getResult(a.feed, a.id, a.timeout);
    return found
      ? { found: true, query: maybe(encode, found.query), result: maybe(encode, found.result) }
      : { found: false };
  },
  async listen(a) {
    stopListening?.();
    heard = [];
    stopListening = await thoonk.listen(a.feed ?? null, (notice) => heard.push(notice));
  },
  async notices(a) {
    const deadline = Date.now() + a.timeout * 1000;
    while (heard.length < a.count && Date.now() < deadline)
      await new Promise((done) => setTimeout(done, 5));
    const encoded = ([name, value]) => [name, Buffer.isBuffer(value) ? encode(value) : value];
    return {
      notices: heard
        .splice(0, a.count)
        .map((notice) => Object.fromEntries(Object.entries(notice).map(encoded))),
    };
  },
};

async function taken(kind, a) {
  const { token, entries } = await thoonk.take(kind, a.feed, a);
  return { token: encode(Buffer.from(token)), entries: encodeAll(entries) };
}

const decodeJob = (job) => ({
  ...job,
  id: decode(job.id),
  token: decode(job.token ?? ""),
  result: maybe(decode, job.result),
  ...("feed" in job && { feed: decode(job.feed) }),
});

const decodeElement = (element) => ({
  ...element,
  ...Object.fromEntries(
    ["id", "name", "item", "result"]
      .filter((name) => name in element)
      .map((name) => [name, maybe(decode, element[name])]),
  ),
});

// Names, ids, items and what else is bytes.
function decodeArguments(given) {
  const a = { ...given };
  for (const name of ["feed", "id", "item", "neighbour", "position", "token", "cursor", "name"])
    if (name in a) a[name] = decode(a[name]);
  for (const name of ["ids", "items", "entries", "names", "feeds"]) if (name in a) a[name] = decodeAll(a[name]);
  for (const name of ["jobs", "finished", "cancelled"])
    if (name in a) a[name] = a[name].map(decodeJob);
  for (const name of ["elements", "schedules"])
    if (name in a) a[name] = a[name].map(decodeElement);
  return a;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, operation, arguments: given } = JSON.parse(line);
  let response;
  try {
    if (!(operation in operations)) throw new Refused("unsupported");
    const once = "session" in given ? { session: given.session, call: given.call } : {};
    const answer = await operations[operation](decodeArguments(given), once);
    response = { id, answer: typeof answer === "object" && answer !== null ? answer : {} };
  } catch (error) {
    response = {
      id,
      error: error instanceof Refused ? error.message : "failed",
      message: String(error),
    };
  }
  console.log(JSON.stringify(response));
}
process.exit(0);
