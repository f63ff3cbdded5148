// Bee-Queue. It keeps no job that is done.

import { CHUNK, ITEM, TASKS, atOnce, timed } from "./timing.mjs";

export class Queue {
  constructor(url, load) {
    const { hostname: host, port } = new URL(url);
    const Bee = load("bee-queue");
    this.open = (more) =>
      new Bee("benchmark", {
        redis: { host, port: Number(port) },
        removeOnSuccess: true,
        getEvents: false,
        sendEvents: false,
        storeJobs: false,
        ...more,
      });
    this.queue = this.open({ isWorker: false });
  }

  put({ count }) {
    return this.put_at_once({ count, calls: 1 });
  }

  fill({ count }) {
    return this.put_many({ count });
  }

  async put_at_once({ count, calls }) {
    await this.queue.ready();
    return atOnce(count, calls, () => this.queue.createJob({ item: ITEM }).save());
  }

  async put_many({ count }) {
    await this.queue.ready();
    return timed(count, async () => {
      for (let left = count; left > 0; left -= CHUNK) {
        const some = Array.from({ length: Math.min(left, CHUNK) }, () =>
          this.queue.createJob({ item: ITEM }),
        );
        await this.queue.saveAll(some);
      }
    });
  }

  async drain({ count, tasks = TASKS }) {
    const worker = this.open({ isWorker: true });
    await worker.ready();
    let done = 0;
    const measured = await timed(count, () =>
      new Promise((resolve, reject) => {
        worker.on("error", reject);
        worker.on("succeeded", () => {
          done += 1;
          if (done === count) resolve();
        });
        worker.process(tasks, async () => {});
      }),
    );
    await worker.close();
    return measured;
  }
}
