// By the queue: whoever sends need not wait. The receipt is in the bucket, under the message's id.

import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { receiptAt } from "./receipts.mjs";

export async function schedule(stack, changes) {
  const sent = await new SQSClient().send(
    new SendMessageCommand({ QueueUrl: stack.IntakeQueueUrl, MessageBody: JSON.stringify({ changes }) }),
  );
  return receiptAt(stack, `receipts/messages/${sent.MessageId}.json`);
}
