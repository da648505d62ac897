import { OperationError } from '@dicom-dispatch/pipeline';

/** Why an action of Bull Board is rejected; Bull Board responds with its status and shows its text. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly statusCode: number;

  constructor(message: string, statusCode = 409, options?: ErrorOptions) {
    super(message, options);
    this.statusCode = statusCode;
  }
}

/** Runs an action, and converts its OperationError to {@link Refused}. */
export async function orRefused<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    throw new Refused(error.message, error.code === 'not-found' ? 404 : 409, { cause: error });
  }
}
