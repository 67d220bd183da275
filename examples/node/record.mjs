// By record: the change is put into the changes table, and nobody checks it before the job does.
// docs/contract.md tells what must hold for a record.

import { createHash } from "node:crypto";
import { ConditionalCheckFailedException, DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";

const NUMBERS = ["value", "expected"];
const TIMES = ["effective_at", "until", "not_after"];

export async function schedule(stack, changes) {
  const client = new DynamoDBClient();
  const origin = { actor: "examples/node", source: "record.mjs" };
  let added = 0;
  for (const change of changes) {
    added += (await putChange(client, stack.ChangesTableName, change, origin)) ? 1 : 0;
  }
  return { status: "ACCEPTED", added, known: changes.length - added };
}

// Put a change as a record; false where its item has one of this id already.
export async function putChange(client, table, change, { actor, source }) {
  const item = itemOf(change.sku, change.location_id);
  const record = {
    item: { S: item },
    status: { S: "PENDING" },
    attempt: { N: "1" },
    due_shard: { S: shardOf(item) },
    due_at: { S: storedTime(change.effective_at) },
    actor: { S: actor },
    source: { S: source },
    scheduled_at: { S: storedTime(new Date()) },
  };
  for (const [name, value] of Object.entries(change)) {
    if (NUMBERS.includes(name)) {
      record[name] = { N: String(value) };
    } else {
      record[name] = { S: TIMES.includes(name) ? storedTime(value) : value };
    }
  }
  try {
    await client.send(
      new PutItemCommand({ TableName: table, Item: record, ConditionExpression: "attribute_not_exists(change_id)" }),
    );
    return true;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) {
      return false;
    }
    throw error;
  }
}

// Both in one text: mug#DC1.
export function itemOf(sku, locationId) {
  return `${escaped(sku)}#${escaped(locationId)}`;
}

// Percent-encoded, in UTF-8, where it has a # or a %: all but printable ASCII, and those two.
function escaped(text) {
  if (!/[#%]/.test(text)) {
    return text;
  }
  const encoded = (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  const isPlain = (byte) => byte >= 0x20 && byte < 0x7f && byte !== 0x23 && byte !== 0x25;
  return [...Buffer.from(text)].map((byte) => (isPlain(byte) ? String.fromCharCode(byte) : encoded(byte))).join("");
}

// Where it waits: of the SHA-256 of the item the first four bytes, modulo 64, in two digits.
export function shardOf(item) {
  const digest = createHash("sha256").update(item).digest();
  return String(digest.readUInt32BE() % 64).padStart(2, "0");
}

// In UTC, with six decimals: what is compared as text.
function storedTime(moment) {
  return new Date(moment).toISOString().replace("Z", "000Z");
}
