// Receipts in the bucket: there within seconds as a rule, sometimes after a minute.

import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { waitFor } from "./waiting.mjs";

// An engine on this machine has no host names for buckets.
export const s3 = new S3Client({ forcePathStyle: Boolean(process.env.AWS_ENDPOINT_URL) });

// What is not there is denied, not missing, to whoever may not list the bucket.
const NOT_THERE_YET = ["NoSuchKey", "AccessDenied"];

export function receiptAt(stack, key) {
  return waitFor(`the receipt ${key}`, async () => {
    try {
      const found = await s3.send(new GetObjectCommand({ Bucket: stack.IntakeBucketName, Key: key }));
      return JSON.parse(await found.Body.transformToString());
    } catch (error) {
      if (NOT_THERE_YET.includes(error.name)) {
        return undefined;
      }
      throw error;
    }
  });
}
