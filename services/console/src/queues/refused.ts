import { OperationError } from '@dicom-dispatch/pipeline';

/** Why a button of Bull Board does nothing; Bull Board answers with its status and shows its text. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly statusCode: number;

  constructor(message: string, statusCode = 409, options?: ErrorOptions) {
    super(message, options);
    this.statusCode = statusCode;
  }
}

/** Reports why one of our actions was not executed. */
export async function orRefused<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    throw new Refused(error.message, error.code === 'not-found' ? 404 : 409, { cause: error });
  }
}
