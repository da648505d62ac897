// Not with them: http-checks.ts, which loads an HTTP client that targets without HTTP do not need.
export { urlSteps } from './url-steps.ts';
