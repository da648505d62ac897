/** How urgent a study is, most urgent first. */
export const priorities = ['stat', 'urgent', 'normal', 'background'] as const;
export type Priority = (typeof priorities)[number];
