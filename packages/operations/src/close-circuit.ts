import { wakeDelivery, type PipelineContext } from '@dicom-dispatch/pipeline';

/**
 * Closes the circuit of a target, because a connection test has passed: its deliveries continue immediately.
 *
 * @returns whether it was open
 */
export async function closeCircuit(context: PipelineContext, target: string): Promise<boolean> {
  const { closed, waiting } = await context.circuits.succeed(target);
  for (const id of waiting) await wakeDelivery({ ...context, config: context.config() }, id);
  return closed;
}
