// As timing.py and countdown.py, for Node.

import { connect } from "node:net";

export const ITEM = "x".repeat(256);
export const TASKS = 8;
export const CHUNK = 1000;

/** Seconds that the server has been on the CPU so far. */
async function serverCpu() {
  const { hostname, port } = new URL(process.env.BENCHMARK_SERVER);
  const socket = connect(Number(port), hostname);
  socket.write("INFO cpu\r\n");
  let text = "";
  for await (const chunk of socket) {
    text += chunk;
    if (text.includes("used_cpu_user_main_thread") && text.endsWith("\r\n")) break;
  }
  socket.destroy();
  const number = (name) => Number(text.match(new RegExp(`^${name}:(.*)\r$`, "m"))[1]);
  return number("used_cpu_sys") + number("used_cpu_user");
}

function clientCpu() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Measure what `work` does. */
export async function timed(count, work) {
  const server = await serverCpu();
  const client = clientCpu();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const used = clientCpu() - client;
  return { count, seconds, client_cpu: used, server_cpu: (await serverCpu()) - server };
}

/** `count` calls, of which `calls` are on their way at any time. */
export function atOnce(count, calls, call) {
  let left = count;
  const lane = async () => {
    while (left > 0) {
      left -= 1;
      await call();
    }
  };
  return timed(count, () => Promise.all(Array.from({ length: calls }, lane)));
}
