// Ask the stack's function: schedule, status, show, cancel.

import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";

const client = new LambdaClient();

export async function call(stack, event) {
  const invoked = await client.send(
    new InvokeCommand({ FunctionName: stack.FunctionName, Payload: JSON.stringify(event) }),
  );
  const answer = JSON.parse(invoked.Payload.transformToString());
  if (invoked.FunctionError) {
    throw new Error(`${answer.errorType}: ${answer.errorMessage}`);
  }
  return answer;
}
