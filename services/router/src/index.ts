export { startRouter, type Router, type RouterOptions } from './start-router.ts';
