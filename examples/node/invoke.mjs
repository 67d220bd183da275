// By a call: the answer is the receipt. After a time-out, or any doubt, the same call again does nothing twice.

import { call } from "./function.mjs";

export function schedule(stack, changes) {
  return call(stack, { action: "schedule", changes });
}
