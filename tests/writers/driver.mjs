// Does what the lines of standard input say with the example's code, and answers each with a line.

import { createInterface } from "node:readline";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { putChange } from "./record.mjs";
import { add, NotEnoughError, setOnHand } from "./stock.mjs";

const client = new DynamoDBClient();
const [inventory, changes] = process.argv.slice(2);

async function answer([verb, ...words]) {
  if (verb === "put") {
    const change = Object.fromEntries(words.map((word) => word.split("=", 2)));
    return (await putChange(client, changes, change, { actor: "a", source: "s" })) ? "done" : "known";
  }
  const [sku, location_id, onHand, reserved] = words;
  const key = { sku, location_id };
  try {
    await (verb === "add"
      ? add(client, inventory, key, { onHand, reserved })
      : setOnHand(client, inventory, key, onHand));
    return "done";
  } catch (error) {
    if (error instanceof NotEnoughError) {
      return "not enough";
    }
    throw error;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await answer(line.split("\t")));
}
