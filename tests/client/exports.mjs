// The names that the modules of a folder export, as their declarations say and as they do: node exports.mjs NPM LIBRARY.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [npm, library] = process.argv.slice(2);
const { default: typescript } = await import(pathToFileURL(createRequire(`${npm}/`).resolve("typescript")));

function declared(file) {
  const options = { types: [], skipLibCheck: true, module: typescript.ModuleKind.NodeNext };
  const program = typescript.createProgram([file], options);
  const checker = program.getTypeChecker();
  const symbols = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file)));
  return symbols.filter((symbol) => symbol.flags & typescript.SymbolFlags.Value).map((symbol) => symbol.name).sort();
}

const real = async (file) => Object.keys(await import(pathToFileURL(file))).sort();

console.log(JSON.stringify({
  declared: declared(`${library}/mediabucket.d.ts`),
  real: await real(`${library}/mediabucket.js`),
  native: await real(`${library}/mediabucket.native.js`),
  declaredUppy: declared(`${library}/uppy.d.ts`),
  realUppy: await real(`${library}/uppy.js`),
}));
