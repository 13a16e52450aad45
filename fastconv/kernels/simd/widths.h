/* Types that stand for whole numbers: a function of such a type is compiled once for each of them.
 *
 * Cython's fused types choose among types, not numbers; so a number is the size of a type.
 */
#ifndef FASTCONV_WIDTHS_H
#define FASTCONV_WIDTHS_H

#define FC_NUMBER(n) typedef struct { char at[n]; } fc_##n
FC_NUMBER(1); FC_NUMBER(2); FC_NUMBER(3); FC_NUMBER(4);
FC_NUMBER(5); FC_NUMBER(6); FC_NUMBER(7); FC_NUMBER(8);
FC_NUMBER(9); FC_NUMBER(10); FC_NUMBER(11); FC_NUMBER(12);
FC_NUMBER(13); FC_NUMBER(14); FC_NUMBER(15); FC_NUMBER(16);
#undef FC_NUMBER

#endif
