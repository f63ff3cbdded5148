// The operations of contract.txt. Names, ids and items are Buffers or strings; what comes
// from the server is Buffers.

import { randomBytes, randomUUID, createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createClient, RESP_TYPES } from "redis";

const SCRIPT = readFileSync(new URL("operations.lua", import.meta.url), "utf8");
const SHA = createHash("sha1").update(SCRIPT).digest("hex");

// In the order in which operations.lua expects them.
const KEYS = [
  "config",
  "ids",
  "items",
  "publishes",
  "idincr",
  "published",
  "claimed",
  "stalled",
  "cancelled",
  "finishes",
  "reserved",
  "holders",
  "tokens",
  "results",
  "answers",
  "scheduled",
  "scheduleditems",
  "unique",
  "info",
  "paused",
  "schedules",
  "runs",
  "runtimes",
  "running",
];
const EVENTS = {
  "feed.publish": "publish",
  "feed.edit": "edit",
  "feed.retract": "retract",
  "feed.position": "position",
  "job.finish": "finish",
  "job.event": "event",
  newfeed: "create",
  delfeed: "delete",
  conffeed: "config",
};
// What job.event tells, and what the notices are called.
const JOB_EVENTS = {
  put: "put",
  scheduled: "schedule",
  claimed: "claim",
  progressed: "progress",
  finished: "end",
  cancelled: "cancel",
  released: "release",
  stalled: "stall",
  retried: "retry",
  retracted: "retract",
};
const CATALOGUE = ["newfeed", "delfeed", "conffeed"];
const OF_A_FEED = Object.keys(EVENTS).filter((channel) => !CATALOGUE.includes(channel));
const WORKERS = "feed.workers";
const SLICE = 5; // seconds that one blocking command waits at most

const NUL = Buffer.from([0]);
const bytes = (text) => (Buffer.isBuffer(text) ? text : Buffer.from(String(text)));
const join = (...parts) => Buffer.concat(parts.map(bytes));
const pairs = (flat) =>
  Array.from({ length: flat.length / 2 }, (_, n) => flat.slice(2 * n, 2 * n + 2));

// Splits at the first NUL: items may hold more of them.
function split(payload) {
  const at = payload.indexOf(0);
  return at < 0 ? null : [payload.subarray(0, at), payload.subarray(at + 1)];
}

export class Refused extends Error {}

const newId = () => randomUUID();
const newToken = () => randomBytes(16).toString("hex");

// A UUID of version 8 that ends in the number of the db.
function newInstance(db) {
  const number = db.toString(16).padStart(4, "0");
  return randomUUID().replace(/^(.{14})4(.*)....$/, `$18$2${number}`);
}

export class Thoonk {
  static async connect(url) {
    const thoonk = new Thoonk();
    const options = {
      url,
      RESP: 2,
      commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
    };
    thoonk.redis = await createClient(options).on("error", console.error).connect();
    thoonk.subscriber = await thoonk.#another();
    thoonk.instance = newInstance(Number(new URL(url).pathname.slice(1) || 0));
    return thoonk;
  }

  close() {
    for (const client of [this.redis, this.subscriber]) client.destroy();
  }

  #another() {
    return this.redis.duplicate().on("error", console.error).connect();
  }

  // --- how it is sent ----------------------------------------------------------------------

  #key(word, feed) {
    return join(`feed.${word}:`, feed);
  }

  #result(feed, id) {
    return join("feed.jobfinished:", feed, NUL, id);
  }

  #send(...words) {
    return this.redis.sendCommand(words.map(bytes));
  }

  // A session and the number of the call make an operation one that can be repeated.
  async run(feed, operation, words = [], { once = {}, results = [], client = this.redis } = {}) {
    this.check(feed);
    const keys = [
      ...KEYS.map((word) => this.#key(word, feed)),
      ...results.map((id) => this.#result(feed, id)),
    ];
    const rest = [
      keys.length,
      ...keys,
      feed,
      operation,
      once.session ?? "",
      once.call ?? "",
      ...words,
    ].map(bytes);
    try {
      return await client.sendCommand(["EVALSHA", SHA, ...rest]);
    } catch (error) {
      if (!error.message.startsWith("NOSCRIPT")) throw refusal(error);
    }
    try {
      return await client.sendCommand(["EVAL", SCRIPT, ...rest]);
    } catch (error) {
      throw refusal(error);
    }
  }

  // Names and ids: not empty, and no NUL.
  check(...names) {
    for (const name of names) {
      if (bytes(name).length === 0 || bytes(name).includes(0)) throw new Refused("invalid");
    }
  }

  // --- feeds of all types --------------------------------------------------------------------

  async #announce(change, channels, feed) {
    // One step: the name, and the notices if that changed something.
    const script = `
      local changed = redis.call(ARGV[1], KEYS[1], ARGV[2])
      for index = 4, changed == 1 and #ARGV or 0 do
        redis.call('PUBLISH', ARGV[index], ARGV[2] .. '\\0' .. ARGV[3])
      end
      return changed`;
    return await this.#send("EVAL", script, 1, "feeds", change, feed, this.instance, ...channels);
  }

  async create(feed, config, once) {
    const created = await this.run(feed, "create", Object.entries(config).flat(), { once });
    await this.#announce("SADD", ["newfeed", "conffeed"], feed);
    return created === 1;
  }

  async delete(feed) {
    let existed = true;
    try {
      let left = [];
      do left = await this.run(feed, "delete", left, { results: left });
      while (left.length > 0);
    } catch (error) {
      if (error.message !== "no feed") throw error;
      existed = false;
    }
    const listed = await this.#announce("SREM", ["delfeed"], feed);
    if (!existed && listed === 0) throw new Refused("no feed");
    if (await this.#send("EXISTS", this.#key("config", feed))) {
      await this.#announce("SADD", ["newfeed", "conffeed"], feed);
    }
  }

  // A field that is null is removed.
  async setConfig(feed, config, once) {
    const words = Object.entries(config).flatMap(([field, value]) =>
      value === null ? [field, "remove", ""] : [field, "set", value],
    );
    await this.run(feed, "set config", [this.instance, ...words], { once });
  }

  async getConfig(feed) {
    return pairs(await this.#send("HGETALL", this.#key("config", feed)));
  }

  getNames() {
    return this.#send("SMEMBERS", "feeds");
  }

  async getIds(feed, type) {
    if (type === "feed") return this.#send("ZRANGE", this.#key("ids", feed), 0, -1);
    if (type === "job") return this.run(feed, "ids of jobs");
    if (type === "queue") {
      const paused = (await this.#send("HGET", this.#key("config", feed), "paused"))?.toString();
      const list = paused === "1" ? "paused" : "ids";
      return (await this.#send("LRANGE", this.#key(list, feed), 0, -1)).reverse();
    }
    return this.#send("LRANGE", this.#key("ids", feed), 0, -1);
  }

  getItem(feed, id) {
    return this.run(feed, "item", [id]);
  }

  async getAll(feed) {
    return pairs(await this.run(feed, "items"));
  }

  // The next ids, and the cursor to go on with: "" when these were the last.
  async page(feed, type, count, reverse, cursor) {
    const words = [type.replace("_feed", ""), count, reverse ? 1 : 0, cursor];
    const [next, ids] = await this.run(feed, "page", words);
    return { cursor: next, ids };
  }

  // Ages are in seconds, and null for what there is not.
  async stats(feed) {
    const fields = pairs(await this.run(feed, "stats"));
    const seconds = (value) => (typeof value === "number" ? value / 1000 : null);
    return Object.fromEntries(
      fields.map(([name, value]) => [
        name.toString(),
        name.toString() === "paused"
          ? value === 1
          : /^(oldest_|newest_|next_due)/.test(name)
            ? seconds(value)
            : value,
      ]),
    );
  }

  // Whether this call has changed it.
  async pause(feed, once) {
    return (await this.run(feed, "pause", [this.instance], { once })) === 1;
  }

  async resume(feed, once) {
    return (await this.run(feed, "resume", [this.instance], { once })) === 1;
  }

  // Known are pairs of an id and the first 32 hex digits of its item's SHA-1.
  async snapshotPage(feed, type, { token, tag, start = 0, skip = 0, count, wanted = [], known = [] }) {
    const words = [type.replace("_feed", ""), token, tag, start, skip, count];
    const asked = [wanted.length, ...wanted, ...known.flat()];
    const [mark, total, ids, items] = await this.run(feed, "snapshot page", [...words, ...asked]);
    return { mark, total, ids, items: pairs(items) };
  }

  // --- feed and sorted feed ------------------------------------------------------------------

  async publish(feed, entries, once) {
    this.check(...entries.map(([id]) => id));
    return (await this.run(feed, "feed publish", entries.flat(), { once })).map(Boolean);
  }

  async retract(feed, id, once) {
    return (await this.run(feed, "feed retract", [id], { once })) === 1;
  }

  // "begin", "end", "before" or "after" some neighbour.
  #place(side, neighbour = "") {
    const position = {
      begin: "begin:",
      end: ":end",
      before: join(":", neighbour),
      after: join(neighbour, ":"),
    };
    return [side, neighbour, position[side]];
  }

  insert(feed, items, side, neighbour, once) {
    return this.run(feed, "sorted insert", [...this.#place(side, neighbour), ...items], { once });
  }

  edit(feed, id, item, once) {
    return this.run(feed, "sorted edit", [id, item], { once });
  }

  move(feed, id, position, once) {
    const text = bytes(position);
    let place = this.#place("before", text.subarray(1));
    if (text.equals(bytes("begin:"))) place = this.#place("begin");
    else if (text.equals(bytes(":end"))) place = this.#place("end");
    else if (text.at(-1) === 0x3a) place = this.#place("after", text.subarray(0, -1));
    return this.run(feed, "sorted move", [id, ...place], { once });
  }

  async sortedRetract(feed, id, once) {
    return (await this.run(feed, "sorted retract", [id], { once })) === 1;
  }

  // --- queue and job -----------------------------------------------------------------------------

  async put(kind, { feed, item, id = newId(), priority = "normal" }, once) {
    this.check(id);
    const push = priority === "high" ? "RPUSH" : "LPUSH";
    await this.run(feed, `${kind} put`, [id, item, push], { once });
    return bytes(id);
  }

  // Entries are pairs of an id and an item; the ids may be taken. Jobs may be due after a delay,
  // in seconds, or at a time, in ms. For each: 0 kept, 1 added, 2 replaced.
  add(kind, feed, entries, given = {}, once = {}) {
    const { priority = "normal", if_exists = "keep", unique_for = 0 } = given;
    const ids = entries.map(([id]) => id);
    this.check(...ids);
    const words = [priority === "high" ? "RPUSH" : "LPUSH"];
    if (kind === "job") words.push(due(given));
    words.push(if_exists, Math.ceil(unique_for * 1000), ...entries.flat());
    return this.run(feed, `${kind} add`, words, { once, results: kind === "job" ? ids : [] });
  }

  // Some of those that there are: how many went, or are available again, and how many are left.
  async some(operation, feed, words, once) {
    const [count, left] = await this.run(feed, operation, words, { once });
    return { count, left };
  }

  // The first step of a queue's get, or the get of a job: ids and items under a token, and
  // for a job how often each was cancelled.
  async take(kind, feed, { count = 1, timeout = 0, token = newToken() } = {}) {
    const operation = kind === "queue" ? "queue take" : "job get";
    const get = (client) => this.run(feed, operation, [token, count], { client });
    const deadline = Date.now() + timeout * 1000;
    let [wake, flat, cancelled] = await get(this.redis);
    let waiter = null; // a connection of its own
    for (let left; flat.length === 0 && (left = deadline - Date.now()) > 0;) {
      waiter ??= await this.#another();
      const wait = Math.min(SLICE, left / 1000, wake < 0 ? SLICE : wake / 1000);
      const lists = [this.#key("ids", feed), this.#key("reserved", feed)];
      const blocked = waiter.sendCommand(["BRPOPLPUSH", ...lists, String(Math.max(wait, 0.01))]);
      // Sent together with it, whatever it answers.
      [, [wake, flat, cancelled]] = await Promise.all([blocked, get(waiter)]);
    }
    waiter?.destroy();
    const entries = pairs(flat);
    return { token, entries: cancelled ? entries.map((e, n) => [...e, cancelled[n]]) : entries };
  }

  async queueGet(feed, timeout) {
    const { token, entries } = await this.take("queue", feed, { timeout });
    if (entries.length === 0) return null;
    await this.confirm(feed, token, [entries[0][0]]);
    return entries[0][1];
  }

  confirm(feed, token, ids, once) {
    return this.run(feed, "queue confirm", [token, ...ids], { once });
  }

  return(feed, token, entries, once) {
    return this.run(feed, "queue return", [token, ...entries.flat()], { once });
  }

  // Without ids all that is held under the token.
  release(feed, token, ids = []) {
    return this.run(feed, "release", [token, ...ids]);
  }

  // Jobs are {id, token, result, timeout}. No token: whoever holds the claim. No result, or
  // null for "no value". The timeout in seconds, 0 for ever.
  finish(feed, jobs, once) {
    return this.run(feed, "job finish", endings(jobs), { once, results: jobs.map(({ id }) => id) });
  }

  // Finishes some, cancels some, and claims the next.
  async next(feed, { finished, cancelled, count, token = newToken() }) {
    const held = cancelled.flatMap(({ id, token = "" }) => [id, token]);
    const words = [token, count, finished.length, ...endings(finished), ...held];
    const results = finished.map(({ id }) => id);
    const [, flat, failures, lost] = await this.run(feed, "job next", words, { results });
    return { token, entries: pairs(flat).map((entry, n) => [...entry, failures[n]]), lost };
  }

  async extend(feed, jobs, once) {
    const words = jobs.flatMap(({ id, token = "" }) => [id, token]);
    return (await this.run(feed, "job extend", words, { once })).map(Boolean);
  }

  // For each whether it is claimed.
  async holds(feed, jobs) {
    const words = jobs.flatMap(({ id, token = "" }) => [id, token]);
    return (await this.run(feed, "job holds", words)).map(Boolean);
  }

  progress(feed, id, { token = "", progress, doing = "" }, once) {
    return this.run(feed, "job progress", [id, token, progress, doing], { once });
  }

  // A schedule is {name, item, every or cron and tz, missed, priority}; times are in ms.
  async schedule(feed, given, once) {
    const words = [given.name, stored(given), ...(given.times ?? []).map(Math.round)];
    return (await this.run(feed, "job schedule", words, { once })) === 1;
  }

  async setRuns(feed, given, once) {
    const words = [given.name, stored(given), ...given.times.map(Math.round)];
    return (await this.run(feed, "job set runs", words, { once })) === 1;
  }

  async unschedule(feed, name, once) {
    return (await this.run(feed, "job unschedule", [name], { once })) === 1;
  }

  async schedules(feed, names = []) {
    const rows = await this.run(feed, "schedules", names);
    return rows.map(([name, text, due, later]) => ({
      name,
      ...understoodSchedule(text),
      next: due.length === 0 ? null : Number(due.toString()),
      later: later.toString().split(" ").filter(Boolean).map(Number),
    }));
  }

  // The ids with their times in ms, null for never, and whether they have high priority.
  async times(feed, { type, of, count = 1000, cursor = "" }) {
    const words = [type.replace("_feed", ""), of, count, cursor];
    const [next, rows] = await this.run(feed, "times", words);
    const times = pairs(rows).map(([id, score]) => {
      const time = Number(score.toString());
      const known = Number.isFinite(time) ? Math.floor(time) : null;
      return [id, known, of === "scheduled" && time % 1 >= 0.5];
    });
    return { cursor: next, times };
  }

  // Elements are {what, id, item, at, put ...}, schedules as `schedules` answers them.
  restore(feed, type, elements, schedules, once) {
    const words = [...elements.map(elementWords), ...schedules.map(scheduleWords)];
    const results = elements.filter(({ what }) => what === "result").map(({ id }) => id);
    const flat = words.flatMap((each) => [each.length, ...each]);
    const shape = type.replace("_feed", "");
    return this.run(feed, "restore", [shape, ...flat], { once, results });
  }

  // cancel or stall
  end(how, feed, id, token = "", once = {}) {
    return this.run(feed, `job ${how}`, [id, token], { once });
  }

  // Cancels, or stalls, and tells why: 0 it waits, 1 it is stalled, 2 it is scheduled.
  fail(feed, id, given, once) {
    const { token = "", stall = false, message = "", error = "", traceback = "", worker = "" } = given;
    const words = [id, token, stall ? "stall" : due(given), message, error, traceback, worker];
    return this.run(feed, "job fail", words, { once });
  }

  // Whether it is still scheduled.
  async reschedule(feed, id, given, once) {
    return (await this.run(feed, "job reschedule", [id, due(given)], { once })) === 1;
  }

  // Null where there is no such job.
  async info(feed, id) {
    const [hasResult, told] = await this.run(feed, "job info", [id], { results: [id] });
    return told.length === 0 ? null : { ...known(told), has_result: hasResult === 1 };
  }

  async jobPage(feed, state, count, cursor) {
    const [next, rows] = await this.run(feed, "job page", [state, count, cursor]);
    return { cursor: next, jobs: rows.map(([id, item, told]) => ({ id, item, ...known(told) })) };
  }

  retry(feed, id, once) {
    return this.run(feed, "job retry", [id], { once });
  }

  async retractJob(feed, id, once) {
    return (await this.run(feed, "job retract", [id], { once })) === 1;
  }

  async counts(feed) {
    const [waiting, claimed, stalled, finished, scheduled] = await this.run(feed, "job counts");
    return { waiting, claimed, stalled, finished, scheduled };
  }

  maintain(feed) {
    return this.run(feed, "job maintenance");
  }

  // --- workers -------------------------------------------------------------------------------

  // One key for the whole db, so none of the scripts of feeds.
  async reportWorker(worker) {
    const script = `
      local time = redis.call('TIME')
      local now = time[1] * 1000 + math.floor(time[2] / 1000)
      local record = string.gsub(ARGV[2], '%z@(%d+)@', function(age)
        return string.format('%.0f', now - age)
      end)
      redis.call('HSET', KEYS[1], ARGV[1], record)
      redis.call('PEXPIRE', KEYS[1], 3600000)
      for _, id in ipairs(redis.call('HRANDFIELD', KEYS[1], 10)) do
        local other = '\\0' .. redis.call('HGET', KEYS[1], id)
        local since = tonumber(string.match(other, '%zreported=(%d+)'))
        local keep = tonumber(string.match(other, '%zkeep=(%d+)'))
        if not (since and keep) or math.abs(now - since) >= keep then
          redis.call('HDEL', KEYS[1], id)
        end
      end`;
    // Ages stand between NUL and @, which is in no name, and become times there.
    const ago = (seconds) => `\0@${Math.round(seconds * 1000)}@`;
    const facts = [["reported=", ago(0)], ["keep=", Math.round(worker.keep * 1000)]];
    facts.push(["started=", ago(worker.running_for)]);
    for (const name of ["host", "pid", "version", "concurrency"])
      facts.push([`${name}=`, worker[name]]);
    for (const name of ["group", "processes"])
      if (worker[name]) facts.push([`${name}=`, worker[name]]);
    facts.push(["busy=", worker.busy ?? 0]);
    if (worker.stopping) facts.push(["stopping=1"]);
    for (const feed of worker.feeds) facts.push(["feed=", feed]);
    for (const { feed, id, attempt, running_for } of worker.jobs ?? []) {
      const number = worker.feeds.findIndex((other) => bytes(other).equals(bytes(feed))) + 1;
      facts.push([`job=${number} `, ago(running_for), ` ${attempt} `, id]);
    }
    const record = join(...facts.flatMap((fact, index) => (index ? [NUL, ...fact] : fact)));
    await this.#send("EVAL", script, 1, WORKERS, worker.id, record);
  }

  async removeWorker(id) {
    return (await this.#send("HDEL", WORKERS, id)) === 1;
  }

  async workers() {
    const script = `return {redis.call('TIME'), redis.call('HSCAN', KEYS[1], ARGV[1])}`;
    const found = new Map();
    let cursor = "0";
    do {
      const [[seconds, micro], [next, rows]] = await this.#send("EVAL", script, 1, WORKERS, cursor);
      const now = Number(seconds.toString()) * 1000 + Number(micro.toString()) / 1000;
      for (const [id, record] of pairs(rows)) {
        const worker = understoodWorker(id, record, now);
        if (worker) found.set(id.toString("hex"), worker);
      }
      cursor = next.toString();
    } while (cursor !== "0");
    return [...found.values()];
  }

  async #stored(feed, id) {
    const stored = await this.#send("LRANGE", this.#result(feed, id), 0, -1);
    if (stored.length === 1) return { query: null, result: stored[0] };
    if (stored.length !== 3) return null;
    return { query: stored[1], result: stored[0].toString() === "none" ? null : stored[2] };
  }

  // {query, result}, or null when there is none within so many seconds.
  async getResult(feed, id, timeout = 0) {
    let found = await this.#stored(feed, id);
    if (found || timeout === 0) return found;
    const query = await this.getItem(feed, id);
    const channel = `job.finish:${feed}`;
    let told;
    const announced = new Promise((resolve) => (told = resolve));
    const hear = (payload) => {
      const parts = split(payload);
      if (parts?.[0].equals(bytes(id))) told(parts[1]);
    };
    await this.subscriber.subscribe(channel, hear, true);
    let timer;
    try {
      found = await this.#stored(feed, id);
      if (found) return found;
      const late = new Promise((resolve) => (timer = setTimeout(resolve, timeout * 1000, null)));
      const result = await Promise.race([announced, late]);
      // A peer that stores nothing has its result in the notice.
      return result && ((await this.#stored(feed, id)) ?? { query, result });
    } finally {
      clearTimeout(timer);
      await this.subscriber.unsubscribe(channel, hear, true);
    }
  }

  // --- notices ---------------------------------------------------------------------------------

  // Calls back with each notice, of one feed or (null) of all feeds of this db.
  async listen(feed, back) {
    const client = await this.#another();
    const known = new Map(); // name (as latin1 text) -> whether it is in this db
    let begin;
    let last = new Promise((resolve) => (begin = resolve)); // one notice after the other
    const hear = (payload, channel) => {
      last = last.then(async () => {
        const notice = understood(bytes(channel), payload);
        const ours =
          notice && (feed ? bytes(feed).equals(notice.feed) : await this.#isOurs(notice, known));
        if (ours) back(notice);
      });
    };
    await client.subscribe(CATALOGUE, hear, true);
    // The package knows channels as text: a name that is not UTF-8 has to be listened to with all.
    const channels = OF_A_FEED.map((event) => `${event}:${feed ?? "*"}`);
    if (feed) await client.subscribe(channels, hear, true);
    else await client.pSubscribe(channels, hear, true);
    for (const name of await this.getNames()) known.set(name.toString("latin1"), true);
    begin();
    return () => client.destroy();
  }

  // Channels know no db, so the list of names is asked.
  async #isOurs({ notice, feed }, known) {
    const name = feed.toString("latin1");
    const before = known.get(name);
    if (before === undefined || notice === "create" || notice === "delete") {
      known.set(name, (await this.#send("SISMEMBER", "feeds", feed)) === 1);
    }
    // A feed that is gone was ours if it had been on the list.
    return notice === "delete" ? before === true && !known.get(name) : known.get(name);
  }
}

// When a job is due, as operations.lua has it.
function due({ delay, at }) {
  if (at !== undefined) return Math.round(at);
  return delay === undefined ? "" : `+${delay * 1000}`;
}

const whole = (time) => (time === undefined || time === null ? "" : String(Math.round(time)));

// What `restore` sends of an element.
function elementWords({ what, id, item, at, put, high, failures = 0, result, ...facts }) {
  if (what === "item") return [what, id, item, whole(at)];
  if (what === "taken") return [what, id, whole(at)];
  if (what === "result") {
    if (result === undefined || result === null) return [what, id, whole(at), "none", item ?? "", ""];
    const query = item === undefined || item === null ? [] : ["some", item];
    return [what, id, whole(at), ...query, result];
  }
  const { failed, stalled, message, error, traceback, worker } = facts;
  const known = { failed: whole(failed), stalled: whole(stalled), message, error, traceback, worker };
  const words = Object.entries(known).flatMap(([name, value]) => [name, value ?? ""]);
  return [what, id, item, whole(at), whole(put), high ? 1 : 0, failures, ...words];
}

function scheduleWords({ next, later = [], ...schedule }) {
  return ["schedule", schedule.name, stored(schedule), whole(next), ...later.map(whole)];
}

// A schedule as it is stored, and back. Its item comes last and may hold NULs.
function stored({ every, cron, tz, missed = "once", priority = "normal", item }) {
  const head = { every: every && Math.round(every * 1000), cron, tz, missed, priority };
  const texts = Object.entries(head).filter(([, value]) => value);
  return join(...texts.map(([name, value]) => `${name}=${value}\0`), "item=", item);
}

function understoodSchedule(text) {
  const at = join(NUL, text).indexOf("\0item=");
  const texts = text.subarray(0, at).toString().split("\0").filter(Boolean);
  const { every, ...others } = Object.fromEntries(texts.map((part) => part.split(/=(.*)/s)));
  const item = text.subarray(at + "item=".length);
  return { every: every ? every / 1000 : null, cron: null, tz: null, ...others, item };
}

// What is told of a job. Times are numbers, of whole ms.
function known(told) {
  const facts = Object.fromEntries(pairs(told).map(([name, value]) => [name.toString(), value]));
  for (const name of ["put", "due", "claimed", "failed", "stalled", "failures", "progressed"])
    facts[name] = facts[name] === undefined ? null : Math.floor(Number(facts[name].toString()));
  for (const name of ["message", "error", "traceback", "worker", "doing"]) facts[name] ??= null;
  const progress = facts.progress ? Number(facts.progress.toString()) : null;
  return { ...facts, progress, state: facts.state.toString() };
}

// Null where the record counts no more.
function understoodWorker(id, record, now) {
  const worker = { id, host: "", pid: 0, version: "", feeds: [], concurrency: 0, processes: 0 };
  Object.assign(worker, { group: "", started: null, stopping: false, busy: 0, jobs: [] });
  let keep = 0;
  for (const fact of record.toString("latin1").split("\0")) {
    const at = fact.indexOf("=");
    const [name, value] = [fact.slice(0, at), Buffer.from(fact.slice(at + 1), "latin1")];
    if (name === "feed") worker.feeds.push(value);
    else if (name === "job") worker.jobs.push(value.toString("latin1"));
    else if (name === "keep") keep = Number(value.toString());
    else if (name === "stopping") worker.stopping = value.toString() === "1";
    else if (["host", "version", "group"].includes(name)) worker[name] = value.toString();
    else if (["pid", "concurrency", "processes", "started", "reported", "busy"].includes(name))
      worker[name] = Number(value.toString());
  }
  if (!(Math.abs(now - worker.reported) < keep)) return null;
  worker.jobs = worker.jobs.map((text) => {
    const [, number, since, attempt, job] = /^(\d+) (\d+) (\d+) (.*)$/s.exec(text);
    const feed = worker.feeds[number - 1];
    return { feed, id: Buffer.from(job, "latin1"), since: Number(since), attempt: Number(attempt) };
  });
  return worker;
}

const endings = (jobs) =>
  jobs.flatMap(({ id, token = "", result, timeout = "" }) => {
    const kind = result === undefined ? "" : result === null ? "none" : "some";
    return [id, token, kind, result ?? "", timeout];
  });

function understoodEvent(feed, event, told) {
  const [id, more] = split(told) ?? [told, null];
  const notice = JOB_EVENTS[event];
  if (!notice || id.length === 0) return null;
  if (event === "scheduled") return more && { notice, feed, id, due: Number(more.toString()) };
  if (event !== "progressed") return { notice, feed, id };
  const [progress, doing] = (more && split(more)) ?? [more, Buffer.from("")];
  return more && { notice, feed, id, progress: Number(progress.toString()), doing };
}

// A notice, or null for what is none.
function understood(channel, payload) {
  const colon = channel.indexOf(":");
  const event = EVENTS[(colon < 0 ? channel : channel.subarray(0, colon)).toString()];
  const parts = event === "retract" ? [payload] : split(payload);
  if (!event || !parts || parts[0].length === 0 || parts[0].includes(0)) return null;
  if (colon < 0) return { notice: event, feed: parts[0] };
  const feed = channel.subarray(colon + 1);
  if (feed.length === 0) return null;
  if (event === "event") return understoodEvent(feed, parts[0].toString(), parts[1]);
  const [id, rest] = parts;
  const value = {
    publish: { item: rest },
    edit: { item: rest },
    position: { position: rest },
    finish: { result: rest },
  };
  return { notice: event, feed, id, ...value[event] };
}

const CODES = {
  NOFEED: "no feed",
  WRONGTYPE: "wrong type",
  TOOLARGE: "too large",
  NOITEM: "no item",
  NOTCLAIMED: "not claimed",
  NOTSTALLED: "not stalled",
  NOTSCHEDULED: "not scheduled",
  EXISTS: "exists",
  OVERTAKEN: "overtaken",
};

function refusal(error) {
  const code = CODES[error.message.split(" ")[0]];
  return code ? new Refused(code) : error;
}
