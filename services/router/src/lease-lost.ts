/** Thrown when another router leads the source now. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}
