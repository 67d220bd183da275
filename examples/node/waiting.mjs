// Ask again until there is an answer: soon at first, then every ten seconds, for a quarter of an hour.

import { setTimeout as pause } from "node:timers/promises";

const LONGEST_PAUSE_MS = 10_000;
const PATIENCE_MS = 15 * 60_000;

export async function waitFor(what, ask) {
  let pauseMs = 250;
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const answer = await ask();
    if (answer !== undefined) {
      return answer;
    }
    await pause(pauseMs);
  }
  throw new Error(`${what} has not come`);
}
