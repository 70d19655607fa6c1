// @grafana/ui imports this CommonJS package's default as a module of Node has it, which is not what a browser gets.
export { Scrollbars as default } from './node_modules/react-custom-scrollbars-2/lib/index.js';
