// By file: JSON lines, a change a line (a CSV file is as welcome). The receipt is named after the file and its version.

import { randomUUID } from "node:crypto";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { receiptAt, s3 } from "./receipts.mjs";

export async function schedule(stack, changes) {
  const name = `example-${randomUUID()}.jsonl`;
  const lines = changes.map((change) => `${JSON.stringify(change)}\n`);
  const put = await s3.send(
    new PutObjectCommand({ Bucket: stack.IntakeBucketName, Key: `incoming/${name}`, Body: lines.join("") }),
  );
  return receiptAt(stack, `receipts/${name}.${put.VersionId}.json`);
}
