const resourceId = /^[0-9a-f]{8}(?:-[0-9a-f]{8}){4}$/;
const jobId = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/** Whether it is an identifier of a patient, study, series or instance: a SHA-1 in five groups of eight hexadecimal digits. */
export function isResourceId(value: string): boolean {
  return resourceId.test(value);
}

/** Whether it is an identifier of a job or a query: a UUID. */
export function isJobId(value: string): boolean {
  return jobId.test(value);
}
