// Books a quantity of an item by one of the doors of a stack, waits for the job that settles it, and looks at the item.

import { randomUUID } from "node:crypto";
import * as file from "./file.mjs";
import { call } from "./function.mjs";
import * as invoke from "./invoke.mjs";
import * as queue from "./queue.mjs";
import * as record from "./record.mjs";
import { findStack } from "./stack.mjs";
import { waitFor } from "./waiting.mjs";

const DOORS = { invoke, queue, file, record };

const [door, sku, location_id, quantity, stackName] = process.argv.slice(2);
if (!Object.hasOwn(DOORS, door ?? "") || !quantity) {
  console.error("usage: node main.mjs invoke|queue|file|record SKU LOCATION QUANTITY [STACK]");
  process.exit(2);
}

const stack = await findStack(stackName);
const name = { change_id: randomUUID(), sku, location_id };
const change = { ...name, kind: "adjustment", value: quantity, effective_at: new Date().toISOString() };

const receipt = await DOORS[door].schedule(stack, [change]);
console.log(JSON.stringify(receipt, null, 2));
if (receipt.status !== "ACCEPTED") {
  process.exit(1);
}

// A job of the stack comes every few minutes.
const settled = await waitFor(`the end of change ${name.change_id}`, async () => {
  const { changes } = await call(stack, { action: "status", changes: [name] });
  return changes[0].status === "PENDING" ? undefined : changes[0];
});
console.log(JSON.stringify(settled, null, 2));

const { item } = await call(stack, { action: "show", sku, location_id });
console.log(JSON.stringify(item, null, 2));
process.exit(settled.status === "APPLIED" ? 0 : 1);
