"use strict";
// The site's matrix: a cell is a link to its page, so there is nothing to open.
matrix.start();
