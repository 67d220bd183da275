// Write stock beside the job: on_hand and reserved, and in the same write what follows from them.
// docs/contract.md tells what the write is. Numbers are text or Big: JavaScript's own are not exact.

import { ConditionalCheckFailedException, GetItemCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import Big from "big.js";

// What the derived figures follow from.
const READ = ["on_hand", "reserved", "safety_stock", "reorder_point", "unit_price"];

// There is less than this would take; nothing was written.
export class NotEnoughError extends Error {}

// Add to what is there: a sale ({ onHand: -3 }), a reservation ({ reserved: 3 }), its release, goods received.
// Fails with NotEnoughError where on_hand or reserved would fall below zero, or available would by this.
export function add(client, table, key, { onHand = 0, reserved = 0 }) {
  return write(client, table, key, (was) => {
    const after = { onHand: was.onHand.plus(onHand), reserved: was.reserved.plus(reserved) };
    const available = was.available.plus(onHand).minus(reserved);
    const isTaking = available.lt(was.available);
    if (after.onHand.lt(0) || after.reserved.lt(0) || (isTaking && available.lt(0))) {
      throw new NotEnoughError(`not enough of ${key.sku} at ${key.location_id}`);
    }
    return after;
  });
}

// Say what is there now, whatever was there before.
export function setOnHand(client, table, key, onHand) {
  return write(client, table, key, (was) => ({ onHand: new Big(onHand), reserved: was.reserved }));
}

// Write what `decide` says; it is asked again where somebody else was faster.
async function write(client, table, key, decide) {
  const named = { TableName: table, Key: { sku: { S: key.sku }, location_id: { S: key.location_id } } };
  for (;;) {
    const { Item: item } = await client.send(new GetItemCommand({ ...named, ConsistentRead: true }));
    if (!item) {
      throw new Error(`there is no item ${key.sku} at ${key.location_id}`);
    }
    try {
      await client.send(new UpdateItemCommand({ ...named, ...planned(item, decide) }));
      return;
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) {
        throw error;
      }
    }
  }
}

// The update of an item, and its condition.
function planned(item, decide) {
  const figure = (name) => new Big(item[name]?.N ?? 0);
  const levelOf = (onHand, reserved) => onHand.minus(reserved).minus(figure("safety_stock"));
  const was = { onHand: figure("on_hand"), reserved: figure("reserved") };
  const { onHand, reserved } = decide({ ...was, available: levelOf(was.onHand, was.reserved) });
  const available = levelOf(onHand, reserved);
  const isLow = available.lte(figure("reorder_point"));
  const sets = {
    on_hand: { N: onHand.toFixed() },
    reserved: { N: reserved.toFixed() },
    available: { N: available.toFixed() },
    stock_status: { S: available.lte(0) ? "OUT_OF_STOCK" : isLow ? "LOW_STOCK" : "IN_STOCK" },
  };
  if (item.unit_price) {
    sets.stock_value = { N: onHand.times(figure("unit_price")).toFixed() };
  }
  const values = {};
  for (const [name, value] of Object.entries(sets)) {
    values[`:${name}`] = value;
  }
  for (const name of READ.filter((each) => item[each])) {
    values[`:was_${name}`] = item[name];
  }
  const update = "SET " + Object.keys(sets).map((name) => `${name} = :${name}`).join(", ");
  const held = READ.map((name) => (item[name] ? `${name} = :was_${name}` : `attribute_not_exists(${name})`));
  return {
    UpdateExpression: sets.stock_value ? update : `${update} REMOVE stock_value`,
    ConditionExpression: held.join(" AND "),
    ExpressionAttributeValues: values,
  };
}
