import type { z } from 'zod';
import { errorAnswer } from '../views/schemas.ts';

/** What a route may answer beside its result. */
const refusals = {
  400: errorAnswer.describe('what was asked for makes no sense'),
  401: errorAnswer.describe('sign in first'),
  403: errorAnswer.describe('your role does not allow it'),
  404: errorAnswer.describe('there is no such thing'),
  409: errorAnswer.describe('its state does not allow it'),
  503: errorAnswer.describe('something that is needed does not answer'),
};

export function answers<T extends z.ZodType>(result: T): { 200: T } & typeof refusals {
  return { 200: result, ...refusals };
}
