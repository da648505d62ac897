import type { z } from 'zod';
import { errorAnswer } from '../views/schemas.ts';

/** Responses of a route in addition to its result. */
const refusals = {
  400: errorAnswer.describe('invalid request'),
  401: errorAnswer.describe('sign in first'),
  403: errorAnswer.describe('your role does not allow it'),
  404: errorAnswer.describe('not found'),
  409: errorAnswer.describe('its state does not allow it'),
  503: errorAnswer.describe('a required service does not respond'),
};

export function answers<T extends z.ZodType>(result: T): { 200: T } & typeof refusals {
  return { 200: result, ...refusals };
}
