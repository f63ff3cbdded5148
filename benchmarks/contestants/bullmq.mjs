// BullMQ on Node. Jobs that are done are removed.

import { CHUNK, ITEM, TASKS, atOnce, timed } from "./timing.mjs";

export class Queue {
  constructor(url, load, more = {}) {
    const { hostname: host, port } = new URL(url);
    this.bullmq = load("bullmq");
    this.connection = { host, port: Number(port), ...more };
    this.options = { removeOnComplete: true };
    this.queue = new this.bullmq.Queue("benchmark", { connection: this.connection });
  }

  put({ count }) {
    return this.put_at_once({ count, calls: 1 });
  }

  fill({ count }) {
    return this.put_many({ count });
  }

  async put_at_once({ count, calls }) {
    await this.queue.waitUntilReady();
    return atOnce(count, calls, () => this.queue.add("work", { item: ITEM }, this.options));
  }

  async put_many({ count }) {
    await this.queue.waitUntilReady();
    const job = { name: "work", data: { item: ITEM }, opts: this.options };
    return timed(count, async () => {
      for (let left = count; left > 0; left -= CHUNK) {
        await this.queue.addBulk(Array(Math.min(left, CHUNK)).fill(job));
      }
    });
  }

  async drain({ count, tasks = TASKS }) {
    const worker = new this.bullmq.Worker("benchmark", async () => {}, {
      connection: this.connection,
      concurrency: tasks,
      autorun: false,
    });
    await worker.waitUntilReady();
    let done = 0;
    const measured = await timed(count, () =>
      new Promise((resolve, reject) => {
        worker.on("error", reject);
        worker.on("completed", () => {
          done += 1;
          if (done === count) resolve();
        });
        worker.run();
      }),
    );
    await worker.close();
    return measured;
  }
}

/** ioredis sends the commands of one turn of the event loop together. */
export class Pipelining extends Queue {
  constructor(url, load) {
    super(url, load, { enableAutoPipelining: true });
  }
}
