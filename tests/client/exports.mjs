// What the modules of the client export, as their declarations say and as they do, and the members of the declared
// interfaces: node exports.mjs NPM LIBRARY.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [npm, library] = process.argv.slice(2);
const { default: typescript } = await import(pathToFileURL(createRequire(`${npm}/`).resolve("typescript")));

function exportsOf(file) {
  const options = { types: [], skipLibCheck: true, module: typescript.ModuleKind.NodeNext };
  const program = typescript.createProgram([file], options);
  const checker = program.getTypeChecker();
  return { checker, symbols: checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file))) };
}

function declared(file) {
  const isValue = (symbol) => symbol.flags & typescript.SymbolFlags.Value;
  return exportsOf(file).symbols.filter(isValue).map((symbol) => symbol.name).sort();
}

function members(file) {
  const { checker, symbols } = exportsOf(file);
  const interfaces = symbols.filter((symbol) => symbol.flags & typescript.SymbolFlags.Interface);
  const namesOf = (symbol) => checker.getDeclaredTypeOfSymbol(symbol).getProperties().map(({ name }) => name).sort();
  return Object.fromEntries(interfaces.map((symbol) => [symbol.name, namesOf(symbol)]));
}

const real = async (file) => Object.keys(await import(pathToFileURL(file))).sort();

console.log(JSON.stringify({
  declared: declared(`${library}/mediabucket.d.ts`),
  members: members(`${library}/mediabucket.d.ts`),
  real: await real(`${library}/mediabucket.js`),
  native: await real(`${library}/mediabucket.native.js`),
  declaredUppy: declared(`${library}/uppy.d.ts`),
  realUppy: await real(`${library}/uppy.js`),
}));
