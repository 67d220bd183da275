// What the doors of a stack are called: its outputs, or variables of the environment.

import { CloudFormationClient, DescribeStacksCommand } from "@aws-sdk/client-cloudformation";

const VARIABLES = {
  FunctionName: "FUNCTION_NAME",
  ChangesTableName: "CHANGES_TABLE_NAME",
  IntakeBucketName: "INTAKE_BUCKET_NAME",
  IntakeQueueUrl: "INTAKE_QUEUE_URL",
};

// By the outputs' names; of a stack that is not named, what the environment says.
export async function findStack(name) {
  if (!name) {
    const named = Object.entries(VARIABLES).map(([output, variable]) => [output, process.env[variable]]);
    return Object.fromEntries(named);
  }
  const { Stacks: stacks } = await new CloudFormationClient().send(new DescribeStacksCommand({ StackName: name }));
  return Object.fromEntries(stacks[0].Outputs.map((output) => [output.OutputKey, output.OutputValue]));
}
